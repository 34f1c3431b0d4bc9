# What can never fire is refused, and so is a run that workflow_create would refuse.

call schedule_set {"name": "s", "template": {"name": "w"}}
  error invalid_argument: cron or every_seconds is required, and only one
call schedule_set {"name": "s", "cron": "* * * * *", "every_seconds": 5, "template": {"name": "w"}}
  error invalid_argument: cron or every_seconds is required, and only one
call schedule_set {"name": "s", "every_seconds": 5, "timezone": "UTC", "template": {"name": "w"}}
  error invalid_argument: timezone belongs to cron, not to every_seconds
call schedule_set {"name": "s", "every_seconds": 0, "template": {"name": "w"}}
  error invalid_argument: every_seconds must be >= 1, got 0
call schedule_set {"name": "s", "cron": "* * * *", "template": {"name": "w"}}
  error invalid_argument: cron '* * * *' is no expression of five fields: Invalid pattern: Pattern must have 5 fields when seconds are disallowed.
call schedule_set {"name": "s", "cron": "0 0 30 2 *", "template": {"name": "w"}}
  error invalid_argument: cron '0 0 30 2 *' gives no time in the future
call schedule_set {"name": "s", "cron": "@daily", "timezone": "Mars/Olympus", "template": {"name": "w"}}
  error invalid_argument: timezone 'Mars/Olympus' is not known; it takes a name such as 'Europe/Berlin'
call schedule_set {"name": "s", "cron": "@daily", "overlap": "both", "template": {"name": "w"}}
  error invalid_argument: overlap must be one of skip, queue, replace, got 'both'
call schedule_set {"name": "s", "cron": "@daily"}
  error invalid_argument: template.name is required
call schedule_set {"name": "s", "cron": "@daily", "template": {}}
  error invalid_argument: template.name is required
call schedule_set {"name": "s", "cron": "@daily", "template": {"name": "w", "nmae": 1}}
  error invalid_argument: unknown member 'nmae' in template; it takes name, tags, input, priority, delay_seconds, max_attempts, retry, deadline_seconds, deadline_from, start_within_seconds, keep_seconds, parent_run_id, concurrency, fair_key, unique
call schedule_set {"name": "s", "cron": "@daily", "template": {"name": "w", "max_attempts": 0}}
  error invalid_argument: template.max_attempts must be >= 1, got 0
call schedule_set {"name": "s", "cron": "@daily", "template": {"name": ""}}
  error invalid_argument: template.name must not be empty
call schedule_set {"name": "", "cron": "@daily", "template": {"name": "w"}}
  error invalid_argument: name must not be empty
call schedule_set {"name": "s", "cron": "@daily", "template": {"name": "w", "input": "x"*70000}}
  error too_large: template.input takes up to 65536 bytes of JSON, got 70002
call schedule_set {"name": "s", "cron": "x"*300, "template": {"name": "w"}}
  error too_large: cron takes up to 256 bytes, got 300
call schedule_list {}
  {"schedules":[]}
