/* Reports: schedules, and what was made of them. */
