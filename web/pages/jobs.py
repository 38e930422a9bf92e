"""The queue for everybody: what is at work, what waits and how long it may take, what failed."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from jobs import imports, queue, training
from models import Dataset, Import, Job, Run, db
from web import waiting
from web.access import get_dataset, get_user

blueprint = Blueprint("jobs", __name__, url_prefix="/queue")


@blueprint.get("")
def index() -> str:
    """Show the queue; of other people's datasets only that there is a job."""
    view = waiting.look(get_user())
    return render_template(
        "jobs/index.html",
        at_work=view.at_work(),
        waiting=view.waiting(),
        ended=view.ended(),
        is_left_alone=view.is_left_alone(),
    )


@blueprint.post("/<int:job_id>/cancel")
def cancel(job_id: int) -> Response:
    """End a job that is at work or waits."""
    job, run = _find(job_id)
    if run:
        training.cancel(run)
    else:
        queue.ask_to_stop(job)
    db.session.commit()
    return redirect(url_for("jobs.index"), 303)


@blueprint.post("/<int:job_id>/retry")
def retry(job_id: int) -> Response:
    """Put a job that failed, was cancelled or interrupted into the queue again."""
    job, run = _find(job_id)
    import_ = imports.find_by_job(job)
    if import_ is None and job.kind not in waiting.RETRIED:
        abort(409, "This can't be tried again.")
    try:
        _put_back(job, run, import_)
        db.session.commit()
    except queue.NotResumable as problem:
        db.session.rollback()
        flash(str(problem), "danger")
    return redirect(url_for("jobs.index"), 303)


def _put_back(job: Job, run: Run | None, import_: Import | None) -> None:
    if run:
        training.resume(run)
    elif import_:
        imports.try_again(import_)
    else:
        queue.resume(job)


def _find(job_id: int) -> tuple[Job, Run | None]:
    """The job of a dataset that the user may edit, and its run where it has one."""
    found = db.session.execute(
        select(Job, Dataset.slug).join(Dataset, Dataset.id == Job.dataset_id).where(Job.id == job_id)
    ).first()
    if found is None:
        abort(404)
    job, slug = found
    get_dataset(slug, "editor")
    return job, db.session.scalar(select(Run).where(Run.job_id == job.id))
