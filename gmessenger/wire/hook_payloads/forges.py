"""Payloads of forges: GitHub, Gitea, Forgejo, Gogs and GitLab. Each event becomes one line, and a URL below it.

Of events that are not in the tables, and actions that are not, nothing is said: a label more is no news for a room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gmessenger.wire.hook_payloads.translation import (
    NOTHING_TO_SAY,
    Payload,
    Translation,
    first_line,
    get_number,
    get_object,
    get_text,
)

BRANCH_PREFIX: Final = "refs/heads/"
TAG_PREFIX: Final = "refs/tags/"
NO_COMMIT: Final = "0" * 40
MAX_TITLE: Final = 200  # characters
EventTranslator = Callable[[dict[str, Any]], Translation]


def translate_github(payload: Payload) -> Translation:
    """Translate an event of GitHub, Gitea, Forgejo or Gogs."""
    headers = payload.headers
    event = headers.get("x-github-event") or headers.get("x-gitea-event") or headers.get("x-gogs-event") or ""
    return GITHUB_EVENTS.get(event.strip().lower(), _say_nothing)(payload.content)


def translate_gitlab(payload: Payload) -> Translation:
    """Translate an event of GitLab."""
    return GITLAB_EVENTS.get(get_text(payload.content, "object_kind"), _say_nothing)(payload.content)


def _say_nothing(content: dict[str, Any]) -> Translation:
    return NOTHING_TO_SAY


def _say(line: str, title: str = "", url: str = "") -> Translation:
    """Return a line, the first line of a title behind it, and a URL below."""
    title = first_line(title)
    shown = title if len(title) <= MAX_TITLE else f"{title[: MAX_TITLE - 1]}…"
    return Translation("\n".join(filter(None, (f"{line}: {shown}" if shown else line, url))))


def _sender(content: dict[str, Any]) -> str:
    return get_text(get_object(content, "sender"), "login", "username", "full_name") or "Somebody"


def _repository(content: dict[str, Any]) -> str:
    return get_text(get_object(content, "repository"), "full_name", "name") or "a repository"


def _push(content: dict[str, Any]) -> Translation:
    repository = get_object(content, "repository")
    url = get_text(content, "compare", "compare_url") or get_text(repository, "html_url")
    pusher = get_text(get_object(content, "pusher"), "name", "login", "username")
    total = get_number(content, "total_commits") or _count(content, "commits")
    return _say_pushed(
        content, pusher or _sender(content), _repository(content), total, url, is_forced=content.get("forced") is True
    )


def _say_pushed(
    content: dict[str, Any], who: str, where: str, count: int, url: str, *, is_forced: bool = False
) -> Translation:
    """Translate a push to a branch or a tag, which may have made or removed it; without commits that is all."""
    ref = get_text(content, "ref")
    kind = "tag" if ref.startswith(TAG_PREFIX) else "branch"
    name = ref.removeprefix(TAG_PREFIX).removeprefix(BRANCH_PREFIX)
    is_new = content.get("created") is True or _is_none(content, "before")
    if content.get("deleted") is True or _is_none(content, "after"):
        return _say(f"{who} deleted {kind} {name} of {where}")
    if is_new and (kind == "tag" or not count):
        return _say(f"{who} created {kind} {name} of {where}", url=url)
    if not count and not is_forced:
        return NOTHING_TO_SAY
    verb = "force-pushed" if is_forced else "pushed"
    commits = f"{count} commit{'' if count == 1 else 's'}"
    return _say(f"{who} {verb} {commits} to {name} of {where}", _newest_title(content), url)


def _is_none(content: dict[str, Any], name: str) -> bool:
    return get_text(content, name) == NO_COMMIT


def _count(content: dict[str, Any], name: str) -> int:
    value = content.get(name)
    return len(value) if isinstance(value, list) else 0


def _newest_title(content: dict[str, Any]) -> str:
    """Return the message of the newest commit. GitHub and GitLab have the oldest first, Gitea the newest."""
    commits = content.get("commits")
    known = commits if isinstance(commits, list) else []
    head = get_text(content, "after")
    for commit in (get_object(content, "head_commit"), *known[-1:], *known[:1]):
        if get_text(commit, "id") == head:
            return get_text(commit, "message", "title")
    return get_text(known[-1], "message", "title") if known else ""


PULL_REQUEST_ACTIONS: Final = {
    "opened": "opened",
    "closed": "closed",
    "reopened": "reopened",
    "ready_for_review": "marked as ready",
}
ISSUE_ACTIONS: Final = {"opened": "opened", "closed": "closed", "reopened": "reopened"}


def _numbered(what: str, item: str, actions: Mapping[str, str]) -> EventTranslator:
    """Return the translator of what was done to an item with a number: an issue, or a pull request."""

    def translate(content: dict[str, Any]) -> Translation:
        found = get_object(content, item)
        verb = actions.get(get_text(content, "action"))
        if verb is None or not found:
            return NOTHING_TO_SAY
        verb = "merged" if verb == "closed" and found.get("merged") is True else verb
        place = f"{what} #{get_number(found, 'number')} of {_repository(content)}"
        return _say(f"{_sender(content)} {verb} {place}", get_text(found, "title"), get_text(found, "html_url"))

    return translate


def _issue_comment(content: dict[str, Any]) -> Translation:
    comment, issue = get_object(content, "comment"), get_object(content, "issue")
    if get_text(content, "action") != "created":
        return NOTHING_TO_SAY
    is_request = bool(get_object(issue, "pull_request")) or content.get("is_pull") is True
    what = "pull request" if is_request else "issue"
    place = f"{what} #{get_number(issue, 'number')} of {_repository(content)}"
    return _say(f"{_sender(content)} commented on {place}", get_text(comment, "body"), get_text(comment, "html_url"))


def _release(content: dict[str, Any]) -> Translation:
    release = get_object(content, "release")
    if get_text(content, "action") != "published":
        return NOTHING_TO_SAY
    tag, name = get_text(release, "tag_name"), get_text(release, "name")
    line = f"{_sender(content)} released {tag} of {_repository(content)}"
    return _say(line, name if name != tag else "", get_text(release, "html_url", "url"))


def _workflow_run(content: dict[str, Any]) -> Translation:
    run = get_object(content, "workflow_run")
    if get_text(content, "action") != "completed":
        return NOTHING_TO_SAY
    name = get_text(run, "name") or get_text(get_object(content, "workflow"), "name")
    return _say_checked(content, run, f"Workflow {name}", get_text(run, "display_title"), get_text(run, "html_url"))


def _check_suite(content: dict[str, Any]) -> Translation:
    suite = get_object(content, "check_suite")
    if get_text(content, "action") != "completed":
        return NOTHING_TO_SAY
    app, home = get_text(get_object(suite, "app"), "name"), get_text(get_object(content, "repository"), "html_url")
    sha = get_text(suite, "head_sha")
    title = get_text(get_object(suite, "head_commit"), "message")
    return _say_checked(content, suite, f"Checks of {app}", title, f"{home}/commit/{sha}" if home and sha else home)


def _say_checked(content: dict[str, Any], run: dict[str, Any], what: str, title: str, url: str) -> Translation:
    branch, conclusion = get_text(run, "head_branch"), get_text(run, "conclusion") or "completed"
    place = f"{branch} of {_repository(content)}" if branch else _repository(content)
    return _say_outcome(f"{what} on {place}", conclusion.replace("_", " "), title, url)


def _say_outcome(line: str, outcome: str, title: str, url: str) -> Translation:
    return _say(line, f"{outcome} ({first_line(title)})" if title else outcome, url)


GITHUB_EVENTS: Final[Mapping[str, EventTranslator]] = {
    "push": _push,
    "pull_request": _numbered("pull request", "pull_request", PULL_REQUEST_ACTIONS),
    "issues": _numbered("issue", "issue", ISSUE_ACTIONS),
    "issue_comment": _issue_comment,
    "pull_request_comment": _issue_comment,  # Gitea's
    "release": _release,
    "workflow_run": _workflow_run,
    "check_suite": _check_suite,
}
"""By `X-GitHub-Event`; https://docs.github.com/en/webhooks/webhook-events-and-payloads."""


def _user(content: dict[str, Any]) -> str:
    user = get_text(get_object(content, "user"), "username", "name")
    return user or get_text(content, "user_username", "user_name") or "Somebody"


def _project(content: dict[str, Any]) -> str:
    return get_text(get_object(content, "project"), "path_with_namespace", "name") or "a project"


def _gitlab_push(content: dict[str, Any]) -> Translation:
    home, after = get_text(get_object(content, "project"), "web_url"), get_text(content, "checkout_sha", "after")
    total = get_number(content, "total_commits_count")
    url = f"{home}/-/commit/{after}" if home and after else home
    return _say_pushed(content, _user(content), _project(content), total, url)


GITLAB_ACTIONS: Final = {"open": "opened", "close": "closed", "reopen": "reopened", "merge": "merged"}


def _gitlab_item(what: str, sign: str) -> EventTranslator:
    """Return the translator of what was done to an issue, which has the sign `#`, or a merge request, with `!`."""

    def translate(content: dict[str, Any]) -> Translation:
        item = get_object(content, "object_attributes")
        verb = GITLAB_ACTIONS.get(get_text(item, "action"))
        if verb is None:
            return NOTHING_TO_SAY
        kind = get_text(item, "type").lower() if what == "work item" else what
        place = f"{kind or what} {sign}{get_number(item, 'iid')} of {_project(content)}"
        return _say(f"{_user(content)} {verb} {place}", get_text(item, "title"), get_text(item, "url"))

    return translate


NOTEABLES: Final = {
    "Issue": ("issue", "issue #"),
    "MergeRequest": ("merge_request", "merge request !"),
    "Snippet": ("snippet", "snippet $"),
}


def _gitlab_note(content: dict[str, Any]) -> Translation:
    note = get_object(content, "object_attributes")
    if get_text(note, "action") == "update":
        return NOTHING_TO_SAY
    field, shown = NOTEABLES.get(get_text(note, "noteable_type"), ("", ""))
    item = get_object(content, field) if field else {}
    place = f"{shown}{get_number(item, 'iid') or get_number(item, 'id')}" if field else "a commit"
    line = f"{_user(content)} commented on {place} of {_project(content)}"
    return _say(line, get_text(note, "note"), get_text(note, "url"))


PIPELINE_STATES: Final = {"success": "success", "failed": "failure", "canceled": "cancelled"}


def _gitlab_pipeline(content: dict[str, Any]) -> Translation:
    pipeline = get_object(content, "object_attributes")
    state = PIPELINE_STATES.get(get_text(pipeline, "status"))
    if state is None:
        return NOTHING_TO_SAY
    home, number = get_text(get_object(content, "project"), "web_url"), get_number(pipeline, "id")
    url = get_text(pipeline, "url") or (f"{home}/-/pipelines/{number}" if home else "")
    line = f"Pipeline {number} on {get_text(pipeline, 'ref')} of {_project(content)}"
    return _say_outcome(line, state, get_text(get_object(content, "commit"), "title", "message"), url)


def _gitlab_release(content: dict[str, Any]) -> Translation:
    if get_text(content, "action") != "create":
        return NOTHING_TO_SAY
    tag, name = get_text(content, "tag"), get_text(content, "name")
    author = get_text(get_object(content, "commit", "author"), "name")
    line = f"{author} released {tag}" if author else f"Release {tag}"
    return _say(f"{line} of {_project(content)}", name if name != tag else "", get_text(content, "url"))


GITLAB_EVENTS: Final[Mapping[str, EventTranslator]] = {
    "push": _gitlab_push,
    "tag_push": _gitlab_push,
    "merge_request": _gitlab_item("merge request", "!"),
    "issue": _gitlab_item("issue", "#"),
    "work_item": _gitlab_item("work item", "#"),
    "note": _gitlab_note,
    "pipeline": _gitlab_pipeline,
    "release": _gitlab_release,
}
"""By `object_kind`; https://docs.gitlab.com/user/project/integrations/webhook_events."""
