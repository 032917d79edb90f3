package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/queue"
	sqsqueue "github.com/rapporthq/rapport/internal/platform/queue/sqs"
	"github.com/rapporthq/rapport/tools/bench/rig"
)

// mayhem is all that goes wrong.
type mayhem struct {
	rig       *rig.Rig
	processes []*rig.Process
	random    *rand.Rand
	away      time.Duration
	done      map[string]int
}

// run lets things go wrong until ctx ends, and then has everything running again.
func (m *mayhem) run(ctx context.Context) error {
	began, longAway, crashed := time.Now(), false, time.Now()
	for {
		select {
		case <-ctx.Done():
			m.rig.Line.Mend()
			return nil
		case <-time.After(300*time.Millisecond + time.Duration(m.random.IntN(1500))*time.Millisecond):
		}
		var err error
		switch n := m.random.IntN(20); {
		case !longAway && time.Since(began) > 10*time.Second:
			longAway = true
			m.cut(ctx, m.away)
		case n < 12:
			err = m.kill(ctx)
		case n < 15:
			err = m.again(ctx)
		case n < 17:
			m.cut(ctx, m.away/10)
		case n < 18 && time.Since(crashed) > 20*time.Second: // it must have come back to crash again
			crashed = time.Now()
			m.done["crashes of PostgreSQL"]++
			err = m.rig.CrashDatabase()
		default:
			m.done["connections of PostgreSQL cut"]++
			// It may be away itself just then.
			_, _ = m.rig.DB.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'rapport' AND random() < 0.5`)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// kill is kill -9 of a server or a worker, which somebody starts again.
func (m *mayhem) kill(ctx context.Context) error {
	p := m.processes[m.random.IntN(len(m.processes))]
	m.done["kills -9 of a "+string(p.Role())]++
	p.Kill()
	for { // the database may be away just then
		err := p.Start(context.WithoutCancel(ctx))
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return p.Start(context.Background())
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (m *mayhem) cut(ctx context.Context, length time.Duration) {
	m.done[fmt.Sprintf("times AWS was away for %s", length)]++
	m.rig.Line.Cut()
	select {
	case <-ctx.Done():
	case <-time.After(length):
	}
	m.rig.Line.Mend()
}

// again sends messages about jobs of any state ten times each, in disorder.
func (m *mayhem) again(ctx context.Context) error {
	rows, err := m.rig.DB.Query(ctx, `SELECT kind, id FROM jobs ORDER BY random() LIMIT 5`)
	if err != nil {
		return nil // it is away
	}
	var messages []queue.Message
	for rows.Next() {
		var one queue.Message
		if err := rows.Scan(&one.Kind, &one.ID); err != nil {
			return err
		}
		for range 10 {
			messages = append(messages, one)
		}
	}
	if rows.Err() != nil {
		return nil
	}
	m.random.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
	m.done["messages sent once too often"] += len(messages)
	out := sqsqueue.New(m.rig.AWS, sqsqueue.Options{URL: m.rig.Queues.URL})
	defer out.Close()
	for batch := range slices.Chunk(messages, 10) {
		if err := out.Send(ctx, batch); err != nil {
			return nil // it is away, which is none of our business
		}
	}
	return nil
}

// poison puts a message into the queue that nobody can read, and one about a job that never was.
func poison(ctx context.Context, r *rig.Rig) error {
	_, err := sqs.NewFromConfig(r.AWS).SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &r.Queues.URL, Entries: []types.SendMessageBatchRequestEntry{
		{Id: aws.String("a"), MessageBody: aws.String(poisoned)},
	}})
	if err != nil {
		return err
	}
	out := sqsqueue.New(r.AWS, sqsqueue.Options{URL: r.Queues.URL})
	defer out.Close()
	return out.Send(ctx, []queue.Message{{Kind: "transcript.analyse", ID: id.New()}})
}

const poisoned = "this is no message"

func (m *mayhem) print() {
	for _, what := range slices.Sorted(maps.Keys(m.done)) {
		fmt.Printf("  %5d %s\n", m.done[what], what)
	}
}
