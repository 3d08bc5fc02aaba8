DELETE FROM _nearside_task;
