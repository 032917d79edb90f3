package insight

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/fault"
)

// Limits are what an organization may ask of models that are paid by the token, as the operator says, whose account it is.
type Limits struct {
	MonthlyMicros int64 // millionths of a US dollar in a calendar month, UTC; 0 is no limit
	Calls         int   // at once; 0 is no limit
}

// monthly is what an organization may spend in a month: what its owners say, and no more than the operator. Nil is no limit.
func (l Limits) monthly(owners *int64) *int64 {
	if l.MonthlyMicros <= 0 || owners != nil && *owners < l.MonthlyMicros {
		return owners
	}
	return &l.MonthlyMicros
}

// Spending is what an organization's use of models has cost, and may cost.
type Spending struct {
	Month               time.Time // the first day of this month, UTC
	SpentMicros         int64
	ReservedMicros      int64  // the most that the calls under way can cost
	LimitMicros         *int64 // nil is no limit
	OperatorLimitMicros *int64
	CallsUnderWay       int
	CallLimit           *int
	Months              []*SpendingMonth // in which anything was spent, the latest first
}

// LeftMicros is what can still be spent in this month; nil if there is no limit.
func (s *Spending) LeftMicros() *int64 {
	if s.LimitMicros == nil {
		return nil
	}
	left := max(*s.LimitMicros-s.SpentMicros-s.ReservedMicros, 0)
	return &left
}

// SpendingMonth is what was spent in a month.
type SpendingMonth struct {
	Month  time.Time
	Models []*ModelCost // the dearest first
}

// CostMicros is what all models have cost.
func (m *SpendingMonth) CostMicros() (all int64) {
	for _, c := range m.Models {
		all += c.CostMicros
	}
	return all
}

// ModelCost is what one model has cost in a month.
type ModelCost struct {
	Model                     string
	Calls                     int
	InputTokens, OutputTokens int64
	CostMicros                int64
}

// months that are shown.
const shownMonths = 12

// Spending tells what the viewer's organization has spent on models: this month and the eleven before. The schema says who may ask.
func (s *Service) Spending(ctx context.Context) (_ *Spending, err error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	defer fault.Wrap(&err, "insight.Spending")
	out := &Spending{Months: []*SpendingMonth{}}
	var owners *int64
	if err := s.db.QueryRow(ctx, `
		SELECT o.model_monthly_limit_micros, `+thisMonth+`,
			(SELECT count(*) FROM model_calls WHERE org_id = $1), (SELECT coalesce(sum(cost_micros), 0)::bigint FROM model_calls WHERE org_id = $1)
		FROM organizations o WHERE o.id = $1`, v.Org).Scan(&owners, &out.Month, &out.CallsUnderWay, &out.ReservedMicros); err != nil {
		return nil, err
	}
	out.LimitMicros, out.OperatorLimitMicros = s.limits.monthly(owners), s.limits.monthly(nil)
	if s.limits.Calls > 0 {
		out.CallLimit = &s.limits.Calls
	}
	rows, err := s.db.Query(ctx, `
		SELECT month, model, calls, input_tokens, output_tokens, cost_micros FROM model_spending
		WHERE org_id = $1 AND month > `+thisMonth+` - interval '1 month' * $2 ORDER BY month DESC, cost_micros DESC, model`, v.Org, shownMonths)
	if err != nil {
		return nil, err
	}
	var month time.Time
	var c ModelCost
	_, err = pgx.ForEachRow(rows, []any{&month, &c.Model, &c.Calls, &c.InputTokens, &c.OutputTokens, &c.CostMicros}, func() error {
		if n := len(out.Months); n == 0 || !out.Months[n-1].Month.Equal(month) {
			out.Months = append(out.Months, &SpendingMonth{Month: month})
		}
		last, cost := out.Months[len(out.Months)-1], c
		last.Models = append(last.Models, &cost)
		if month.Equal(out.Month) {
			out.SpentMicros += c.CostMicros
		}
		return nil
	})
	return out, err
}
