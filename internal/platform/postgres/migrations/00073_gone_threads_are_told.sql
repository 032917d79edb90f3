-- Who follows a thread is told when it is deleted, whatever deletes it: its owner, an erasure or a retention policy.

-- +goose Up

CREATE TRIGGER access_thread_ended AFTER DELETE ON ask_threads REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION access_changed('o.id');

-- +goose Down

DROP TRIGGER access_thread_ended ON ask_threads;
