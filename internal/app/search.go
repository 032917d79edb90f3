package app

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/rapporthq/rapport/internal/coaching/search"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/httpx"
	"github.com/rapporthq/rapport/internal/platform/telemetry"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
	"github.com/rapporthq/rapport/internal/platform/textsearch/elastic"
	pgsearch "github.com/rapporthq/rapport/internal/platform/textsearch/postgres"
)

// found is how words are found: by PostgreSQL, and by Elasticsearch where there is one.
type found struct {
	elastic *elastic.Index // nil without Elasticsearch
	where   string         // for people
	check   httpx.Check
}

// openSearch chooses the index that is searched: Elasticsearch, and PostgreSQL's own while that is away, or that alone.
func (a *App) openSearch(ctx context.Context) (*search.Service, error) {
	own, err := pgsearch.New(a.db, search.Schema)
	if err != nil {
		return nil, err
	}
	a.found.where = "postgres"
	a.found.check = httpx.Check{Name: "search", Adapter: "postgres", Optional: true, Probe: connects(a.db.Ping)}
	index, fallback := textsearch.Index(own), textsearch.Index(nil)
	if len(a.config.Search.ElasticsearchURLs) > 0 {
		if a.found.elastic, err = a.openElasticsearch(ctx); err != nil {
			return nil, err
		}
		index, fallback = a.found.elastic, own
		a.found.where = "elasticsearch (" + a.found.elastic.String() + ")"
		a.found.check.Adapter, a.found.check.Probe = "elasticsearch", func(ctx context.Context) error {
			err := a.found.elastic.Reach(ctx)
			if err != nil && fault.KindOf(err) != fault.KindUnavailable {
				err = fault.Unavailable("cannot use the index").Because(err)
			}
			return err
		}
	}
	s := a.services
	return search.NewService(a.db, a.log, index, fallback, search.Domains{
		Meaning: a.services.Meaning,
		People:  s.Orgs, Clients: s.Clients, Engagements: s.Engagements, Sessions: s.Sessions, Transcripts: s.Transcripts,
		Insights: s.Insights, Notes: s.Notes, Goals: s.Goals, Tags: s.Tags,
	}), nil
}

func (a *App) openElasticsearch(ctx context.Context) (*elastic.Index, error) {
	c := a.config.Search
	o := elastic.Options{
		URLs: c.ElasticsearchURLs, Username: c.ElasticsearchUsername, Prefix: c.ElasticsearchPrefix, Shards: c.ElasticsearchShards, Replicas: c.ElasticsearchReplicas,
		AwaitFilling: true, Timeout: c.ElasticsearchTimeout, Log: a.log,
	}
	var err error
	if c.ElasticsearchAPIKey != "" {
		if o.APIKey, err = a.secrets.Open(ctx, "RAPPORT_ELASTICSEARCH_API_KEY", c.ElasticsearchAPIKey.Reveal(), nil); err != nil {
			return nil, err
		}
	}
	if c.ElasticsearchPassword != "" {
		if o.Password, err = a.secrets.Open(ctx, "RAPPORT_ELASTICSEARCH_PASSWORD", c.ElasticsearchPassword.Reveal(), nil); err != nil {
			return nil, err
		}
	}
	if c.ElasticsearchCAFile != "" {
		if o.CA, err = os.ReadFile(c.ElasticsearchCAFile); err != nil {
			return nil, fault.Invalid("", "RAPPORT_ELASTICSEARCH_CA_FILE: cannot be read").Because(err)
		}
	}
	x, err := elastic.New(search.Schema, o)
	if err != nil {
		return nil, fmt.Errorf("RAPPORT_ELASTICSEARCH_…: %w", err)
	}
	return x, nil
}

// fillSearch makes the index of Elasticsearch anew where that has to be done: when it is new, when it is gone, and when this version makes
// other documents than the last one. Of several processes one does it.
func (a *App) fillSearch(ctx context.Context) error {
	if a.found.elastic == nil {
		return nil
	}
	const soon, later = 10 * time.Second, 10 * time.Minute
	for wait := soon; ; {
		switch done, err := a.FillSearch(ctx); {
		case ctx.Err() != nil:
			return nil
		case err != nil && fault.KindOf(err) != fault.KindConflict: // somebody else does it
			a.log.WarnContext(ctx, "the search index is not made anew", "err", err, "retry_in", soon)
			wait = soon
		case err != nil || done:
			wait = soon
		default:
			wait = later
		}
		again := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			again.Stop()
			return nil
		case <-again.C:
		}
	}
}

// FillSearch makes the index of Elasticsearch anew if that has to be done, and says whether it was.
func (a *App) FillSearch(ctx context.Context) (bool, error) {
	stale, err := a.found.elastic.Stale(ctx)
	if err != nil || !stale {
		return false, err
	}
	a.log.InfoContext(ctx, "making the search index anew", "index", a.found.elastic)
	return true, a.services.Search.Fill(ctx, a.found.elastic)
}

// MeasureSearch tells how long the oldest change waits that is not yet found by words, and by meaning.
func (a *App) MeasureSearch(ctx context.Context) error {
	words, meaning, err := a.services.Search.Lag(ctx)
	if err != nil {
		return err
	}
	return a.metrics.Emit(nil, telemetry.Measure{Name: "SearchLag", Unit: telemetry.Seconds, Value: words.Seconds()},
		telemetry.Measure{Name: "MeaningLag", Unit: telemetry.Seconds, Value: meaning.Seconds()})
}
