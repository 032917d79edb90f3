package app

import (
	"context"

	"github.com/rapporthq/rapport/internal/coaching/search"
	"github.com/rapporthq/rapport/internal/platform/telemetry"
	pgsearch "github.com/rapporthq/rapport/internal/platform/textsearch/postgres"
)

// openSearch chooses the index that is searched: PostgreSQL's own.
func (a *App) openSearch() (*search.Service, error) {
	index, err := pgsearch.New(a.db, search.Schema)
	if err != nil {
		return nil, err
	}
	s := a.services
	return search.NewService(a.db, a.log, index, nil, search.Domains{
		People: s.Orgs, Clients: s.Clients, Engagements: s.Engagements, Sessions: s.Sessions, Transcripts: s.Transcripts,
		Insights: s.Insights, Notes: s.Notes, Goals: s.Goals, Tags: s.Tags,
	}), nil
}

// MeasureSearch tells how long the oldest change waits that is not yet found.
func (a *App) MeasureSearch(ctx context.Context) error {
	lag, err := a.services.Search.Lag(ctx)
	if err != nil {
		return err
	}
	return a.metrics.Emit(nil, telemetry.Measure{Name: "SearchLag", Unit: telemetry.Seconds, Value: lag.Seconds()})
}
