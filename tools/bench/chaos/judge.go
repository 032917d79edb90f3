package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/tools/bench/rig"
)

// outcome is what came of an import: every word with its speaker, every insight with its citations, how often each was told, without ids
// and moments.
func outcome(ctx context.Context, db *pgxpool.Pool, transcript string) (string, error) {
	_, key, err := id.Parse(transcript)
	if err != nil {
		return "", err
	}
	rows, err := db.Query(ctx, `
		SELECT 'transcript ' || status || ' ' || utterance_count FROM transcripts WHERE id = $1
		UNION ALL SELECT 'words ' || md5(string_agg(s.ordinal || ' ' || u.start_ms || ' ' || u.text, '|' ORDER BY u.index))
			FROM utterances u JOIN speakers s ON s.id = u.speaker_id WHERE u.transcript_id = $1
		UNION ALL SELECT 'speaker ' || ordinal || ' ' || label || ' ' || role FROM speakers WHERE transcript_id = $1
		UNION ALL SELECT 'measures ' || md5(measures::text) FROM session_metrics WHERE transcript_id = $1
		UNION ALL SELECT 'insight ' || i.ordinal || ' ' || i.kind || ' ' || i.title || ' ' || (i.retracted_at IS NULL)
			|| (SELECT coalesce(string_agg(' ' || c.first_index || '-' || c.last_index || ' ' || c.quote, '' ORDER BY c.ordinal), '') FROM citations c WHERE c.insight_id = i.id)
			|| ' told ' || (SELECT count(*) FROM stream_events e WHERE e.kind = 'insight.added' AND e.topic LIKE 'session\_%' AND e.data->>'insightId' = i.id::text)
			FROM insights i WHERE i.transcript_id = $1
		UNION ALL SELECT 'runs ' || count(*) FILTER (WHERE status = 'SUCCEEDED') || ' ' || count(*) FILTER (WHERE status = 'RUNNING') FROM analysis_runs WHERE transcript_id = $1
		ORDER BY 1`, key)
	if err != nil {
		return "", err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return strings.Join(lines, "\n"), err
}

// judge looks at everything that is left.
func judge(ctx context.Context, r *rig.Rig, c *client, want map[int]string, n int) error {
	var wrong []string
	fail := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	count := func(what, sql string, args ...any) (n int) {
		if err := r.DB.QueryRow(ctx, sql, args...).Scan(&n); err != nil {
			fail("%s: %v", what, err)
		}
		return n
	}
	none := func(what, sql string, args ...any) {
		if n := count(what, sql, args...); n > 0 {
			fail("%d %s", n, what)
		}
	}
	total := n + conversations
	if len(c.imported) != n {
		fail("%d different transcripts were acknowledged", len(c.imported))
	}
	if got := count("transcripts", `SELECT count(*) FROM transcripts WHERE status = 'READY' AND blob_key IS NOT NULL`); got != total {
		fail("%d transcripts are READY, not %d", got, total)
	}
	none("transcripts in another state", `SELECT count(*) FROM transcripts WHERE status <> 'READY'`)
	insights := 0
	for key, conversation := range c.imported {
		got, err := outcome(ctx, r.DB, key)
		if err != nil {
			return err
		}
		insights += strings.Count(got, "\ninsight ")
		if got != want[conversation] {
			fail("%s came out otherwise: %s", key, difference(got, want[conversation]))
		}
	}
	none("jobs that are not done", `SELECT count(*) FROM jobs WHERE state <> 'DONE' AND run_at < now() + interval '1 minute'`)
	none("originals that are not in the store", `SELECT count(*) FROM transcript_originals`)
	none("events that are not published", `SELECT count(*) FROM outbox`)
	none("runs that go on", `SELECT count(*) FROM analysis_runs WHERE status = 'RUNNING'`)

	files, err := stored(ctx, r)
	if err != nil {
		return err
	}
	rows, err := r.DB.Query(ctx, `SELECT blob_key FROM transcripts WHERE blob_key IS NOT NULL`)
	if err != nil {
		return err
	}
	known, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	slices.Sort(known)
	if !slices.Equal(files, known) {
		fail("%d files are in the bucket, and the database knows %d: %v", len(files), len(known), odd(files, known))
	}

	if err := queues(ctx, r, fail); err != nil {
		return err
	}
	if err := chain(ctx, r, fail); err != nil {
		return err
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d things are wrong:\n  %s", len(wrong), strings.Join(wrong[:min(len(wrong), 20)], "\n  "))
	}
	fmt.Printf("  exactly %d READY, %d insights, each once and told once; %d files and no orphan; no job, run, event or original left over;\n"+
		"  the dead-letter queue holds the poison alone; the audit trail is whole\n", n, insights, len(files))
	return nil
}

// stored are the keys of the files in the bucket, sorted.
func stored(ctx context.Context, r *rig.Rig) (keys []string, err error) {
	client := s3.NewFromConfig(r.AWS, func(o *s3.Options) { o.UsePathStyle = true })
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &r.Bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			keys = append(keys, aws.ToString(o.Key))
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// odd are some of what is in one list only.
func odd(a, b []string) (some []string) {
	for _, pair := range [][2][]string{{a, b}, {b, a}} {
		for _, x := range pair[0] {
			if _, both := slices.BinarySearch(pair[1], x); !both && len(some) < 5 {
				some = append(some, x)
			}
		}
	}
	return some
}

// queues looks into both: in the first is nothing, in the other the poison.
func queues(ctx context.Context, r *rig.Rig, fail func(string, ...any)) error {
	client := sqs.NewFromConfig(r.AWS)
	// What came once too often is taken away as it comes; a message that nobody can read needs its five deliveries.
	var left string
	for began := time.Now(); ; {
		about, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &r.Queues.URL, AttributeNames: []types.QueueAttributeName{
			types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible}})
		if err != nil {
			return err
		}
		left = about.Attributes[string(types.QueueAttributeNameApproximateNumberOfMessages)] + " waiting, " +
			about.Attributes[string(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible)] + " handed out"
		if left == "0 waiting, 0 handed out" {
			break
		}
		if time.Since(began) > 4*time.Minute {
			fail("in the queue: %s", left)
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	dead, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &r.Queues.Dead, MaxNumberOfMessages: 10, VisibilityTimeout: 0})
	if err != nil {
		return err
	}
	if len(dead.Messages) != 1 || aws.ToString(dead.Messages[0].Body) != poisoned {
		fail("%d dead letters are in the queue for them, not the poison alone", len(dead.Messages))
		for _, m := range dead.Messages {
			fail("a dead letter: %.100s", aws.ToString(m.Body))
		}
	}
	return nil
}

// chain verifies the audit trail of the practice, once all of it is sealed.
func chain(ctx context.Context, r *rig.Rig, fail func(string, ...any)) error {
	org := r.Practice.Viewer.Org
	for waiting := true; waiting; {
		if err := r.DB.QueryRow(ctx, `SELECT EXISTS (SELECT FROM audit_events WHERE org_id = $1 AND seq IS NULL)`, org).Scan(&waiting); err != nil {
			return err
		}
		if waiting {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
	var all audit.Verification
	for !all.Complete {
		next, err := audit.Verify(ctx, r.DB, org, all.Last, audit.MaxVerified)
		if err != nil {
			return err
		}
		for _, p := range next.Problems {
			fail("the audit trail: %s", p.Message)
		}
		all = *next
	}
	return nil
}

// difference is the first line in which two outcomes differ.
func difference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			return fmt.Sprintf("%q is missing", b[i])
		case i >= len(b):
			return fmt.Sprintf("%q is too much", a[i])
		case a[i] != b[i]:
			return fmt.Sprintf("%q, not %q", a[i], b[i])
		}
	}
	return "not at all"
}
