package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/coaching/audit"
	"github.com/rapporthq/rapport/internal/coaching/goal"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/postgres"
)

// measureAudit measures how many changes of one organization are written with their entry in the audit trail while the server
// seals it: check-ins as a front end sends them, and transactions that hold nothing but an entry. Whether the chain is whole
// afterwards is looked at, too.
func measureAudit(ctx context.Context, b *bench) error {
	c, err := b.start(ctx, ours)
	if err != nil {
		return err
	}
	defer c.stop()
	requests, err := b.checkIns(ctx, c)
	if err != nil {
		return err
	}
	length := max(b.length/2, time.Second)
	var mutations, transactions []float64
	for run := -1; run < b.runs; run++ {
		checkIns, err := b.sent(ctx, c, requests, length)
		if err != nil {
			return err
		}
		entries, err := b.recorded(ctx, length)
		if err != nil {
			return err
		}
		if run >= 0 { // the first time is the connections' and the plans'
			mutations, transactions = append(mutations, checkIns), append(transactions, entries)
			progress(fmt.Sprintf("audit: %.0f check-ins/s, %.0f entries/s", checkIns, entries))
		}
	}
	took, chain, err := b.sealed(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "\nAudited writes of one organization, %d at once, each waiting for its commit, with the sealer at work\n", b.conns)
	fmt.Fprintf(b.out, "  %.0f addCheckIn mutations/s over HTTP, %.0f transactions/s of an entry alone\n", median(mutations), median(transactions))
	fmt.Fprintf(b.out, "  the last is sealed after %.1f s; the chain of %d is whole: %t\n", took.Seconds(), chain.CheckedEvents, chain.Whole())
	return nil
}

// checkIns is a request for each connection that adds a check-in, as far as there are goals each to another.
func (b *bench) checkIns(ctx context.Context, c *child) ([][]byte, error) {
	rows, err := b.db.Query(ctx, `SELECT id FROM goals WHERE org_id = $1 AND coach_id = $2 ORDER BY id`, b.practice.Viewer.Org, b.practice.Viewer.User)
	if err != nil {
		return nil, err
	}
	goals, err := pgx.CollectRows(rows, pgx.RowTo[goal.ID])
	if err != nil {
		return nil, err
	}
	requests := make([][]byte, b.conns)
	for i := range requests {
		body, err := json.Marshal(map[string]any{
			"query":     `mutation($in: AddCheckInInput!) { addCheckIn(input: $in) { checkIn { id } userErrors { message } } }`,
			"variables": map[string]any{"in": map[string]any{"goalId": goals[i%len(goals)].String(), "score": 5, "note": "Half way."}},
		})
		if err != nil {
			return nil, err
		}
		requests[i] = b.request(body)
	}
	answer, err := c.answer(requests[0])
	var made struct {
		Data struct {
			AddCheckIn struct{ CheckIn *struct{ ID string } }
		}
	}
	if err == nil {
		err = json.Unmarshal(answer, &made)
	}
	if err == nil && made.Data.AddCheckIn.CheckIn == nil {
		err = fmt.Errorf("no check-in was added: %.500s", answer)
	}
	return requests, err
}

// sent sends each request over and over on a connection of its own, and returns how many were answered in a second.
func (b *bench) sent(ctx context.Context, c *child, requests [][]byte, length time.Duration) (float64, error) {
	var all sync.WaitGroup
	var answered atomic.Int64
	failed := make(chan error, len(requests))
	began := time.Now()
	for _, r := range requests {
		all.Go(func() {
			latencies, err := c.ask(ctx, r, began.Add(length))
			answered.Add(int64(len(latencies)))
			failed <- err
		})
	}
	all.Wait()
	took := time.Since(began)
	for range requests {
		if err := <-failed; err != nil {
			return 0, err
		}
	}
	return float64(answered.Load()) / took.Seconds(), nil
}

// recorded writes entries, each in a transaction of its own, and returns how many in a second.
func (b *bench) recorded(ctx context.Context, length time.Duration) (float64, error) {
	db, err := postgres.Open(ctx, b.url, postgres.WithMaxConns(int32(b.conns)), postgres.WithApplicationName("bench"))
	if err != nil {
		return 0, err
	}
	defer db.Close()
	entry := audit.Entry{Action: "goal.update", Kind: "goal", ID: id.New(), ClientID: id.New(), Fields: []string{"title"}}
	var all sync.WaitGroup
	var written atomic.Int64
	failed := make(chan error, b.conns)
	began := time.Now()
	for range b.conns {
		all.Go(func() {
			for time.Since(began) < length {
				if err := postgres.InTx(ctx, db, func(tx pgx.Tx) error { return audit.Record(ctx, tx, b.practice.Viewer, entry) }); err != nil {
					failed <- err
					return
				}
				written.Add(1)
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	select {
	case err := <-failed:
		return 0, err
	default:
		return float64(written.Load()) / took.Seconds(), nil
	}
}

// sealed waits until the server has sealed everything, and verifies the chain.
func (b *bench) sealed(ctx context.Context) (time.Duration, audit.Verification, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	began := time.Now()
	for {
		var waiting bool
		if err := b.db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM audit_events WHERE org_id = $1 AND seq IS NULL)`, b.practice.Viewer.Org).Scan(&waiting); err != nil {
			return 0, audit.Verification{}, err
		}
		if !waiting {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	took := time.Since(began)
	var all audit.Verification
	for !all.Complete {
		next, err := audit.Verify(ctx, b.db, b.practice.Viewer.Org, all.Last, audit.MaxVerified)
		if err != nil {
			return 0, all, err
		}
		next.CheckedEvents += all.CheckedEvents
		next.Problems = append(next.Problems, all.Problems...)
		all = *next
	}
	return took, all, nil
}
