/* Set-up: create, update and (softly) delete. */
