package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/rapporthq/rapport/docs/events"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/config"
	"github.com/rapporthq/rapport/internal/platform/event"
	eventbox "github.com/rapporthq/rapport/internal/platform/event/devbox"
	snsevent "github.com/rapporthq/rapport/internal/platform/event/sns"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/httpx"
)

// news is how other systems hear of what happens: by a topic of SNS, or in development on a page of this machine. In production without
// a topic nobody does, and nothing is written down for them.
type news struct {
	outbox *event.Outbox // nil where nothing is published
	relay  *event.Relay  // nil as well
	box    *eventbox.Box
	where  string        // for people
	checks []httpx.Check // none where nothing can fail
}

// refusedKept is how long events are kept that could not be published.
const refusedKept = 30 * 24 * time.Hour

func (a *App) openNews(ctx context.Context) (n news, err error) {
	source := func() string { return *a.url.Load() }
	var to event.Publisher
	switch topic := a.config.Events.SNSTopicARN; {
	case topic != "":
		cfg, err := a.reachAWS(ctx, "RAPPORT_SNS_TOPIC_ARN")
		if err != nil {
			return n, err
		}
		sns := snsevent.New(cfg, snsevent.Options{Topic: topic, Source: source})
		to, n.where = sns, "sns ("+topic+")"
		n.checks = []httpx.Check{{Name: "events", Adapter: "sns", Optional: true, Probe: func(ctx context.Context) error {
			if err := sns.Reach(ctx); err != nil {
				return fault.Unavailable("cannot reach the topic").Because(err)
			}
			return nil
		}}}
	case a.config.Mode == config.Development:
		n.box = eventbox.New(a.db, source)
		to, n.where = n.box, "postgres ("+eventbox.Path+")"
	default:
		n.where = "none: events are not published"
		return n, nil
	}
	n.outbox, n.relay = &event.Outbox{}, event.NewRelay(a.db, a.listener, to, a.log, event.Options{})
	return n, nil
}

// run carries events. Every process does, so that they leave whichever process is left.
func (n news) run(ctx context.Context) error {
	if n.relay == nil {
		return nil
	}
	return n.relay.Run(ctx)
}

func (n news) close() {
	if n.relay != nil {
		n.relay.Close()
	}
}

// routes serves what belongs to events: the schemas, which hold no secret, and the page of this machine.
func (n news) routes(mux *http.ServeMux) {
	mux.Handle("GET "+event.SchemaPath, http.StripPrefix(event.SchemaPath, events.Handler()))
	if n.box != nil {
		mux.Handle("GET "+eventbox.Path, auth.LocalOnly(n.box.Handler()))
	}
}

// Relay carries events to whoever publishes them; nil where nobody does.
func (a *App) Relay() *event.Relay { return a.news.relay }

// lookAfterEvents shows an operator how the outbox stands, and does something about what was given up.
func lookAfterEvents(f *flag.FlagSet) action {
	retry := f.Bool("retry", false, "have all events that were given up tried anew")
	discard := f.Bool("discard", false, "forget all events that were given up")
	return func(ctx context.Context, o *operator, _ []string) (err error) {
		if *retry && *discard {
			return misuse("--retry or --discard")
		}
		db, _, closeDB, err := o.open(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeDB()) }()
		switch {
		case *retry:
			n, err := event.Retry(ctx, db)
			if err == nil {
				fmt.Fprintf(o.out, "%d events are tried anew\n", n)
			}
			return err
		case *discard:
			n, err := event.Discard(ctx, db, 0)
			if err == nil {
				fmt.Fprintf(o.out, "%d events are forgotten\n", n)
			}
			return err
		}
		s, err := event.StatusOf(ctx, db)
		if err != nil {
			return err
		}
		fmt.Fprintf(o.out, "%d wait to be published, the first for %s; %d were given up\n", s.Waiting, s.Oldest.Round(time.Second), s.Refused)
		const most = 100
		refused, err := event.RefusedOf(ctx, db, most)
		if err != nil || len(refused) == 0 {
			return err
		}
		w := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', 0)
		for _, r := range refused {
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%d attempts\t%s\n", r.Key(), r.Organization(), r.Type, r.Subject, r.Code, r.Attempts, r.Since.Format(time.RFC3339))
		}
		if s.Refused > most {
			fmt.Fprintf(w, "  … and %d more\n", s.Refused-most)
		}
		return w.Flush()
	}
}
