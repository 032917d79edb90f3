package resolvers

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
	"github.com/rapporthq/rapport/loaders"
)

// nodes loads a node of each prefix; a test checks that every type that implements Node is here.
var nodes = map[string]func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error){
	"org": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Organizations.Load(ctx, key))
	},
	"user": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Users.Load(ctx, key))
	},
	"member": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Memberships.Load(ctx, key))
	},
	"invitation": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Invitations.Load(ctx, key))
	},
	"audit": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.AuditEvents.Load(ctx, key))
	},
	"deadletter": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.DeadLetters.Load(ctx, key))
	},
	"client": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Clients.Load(ctx, key))
	},
	"engagement": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Engagements.Load(ctx, key))
	},
	"session": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Sessions.Load(ctx, key))
	},
	"participant": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Participants.Load(ctx, key))
	},
	"topic": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Topics.Load(ctx, key))
	},
	"filter": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.SavedFilters.Load(ctx, key))
	},
	"savedsearch": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.SavedSearches.Load(ctx, key))
	},
	"thread": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.AskThreads.Load(ctx, key))
	},
	"message": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.AskMessages.Load(ctx, key))
	},
	"live": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.LiveSessions.Load(ctx, key))
	},
	"liveutterance": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.LiveUtterances.Load(ctx, key))
	},
	"nudge": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Nudges.Load(ctx, key))
	},
	"transcript": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Transcripts.Load(ctx, key))
	},
	"speaker": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Speakers.Load(ctx, key))
	},
	"utterance": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Utterances.Load(ctx, key))
	},
	"edit": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Edits.Load(ctx, key))
	},
	"revision": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Revisions.Load(ctx, key))
	},
	"insight": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Insights.Load(ctx, key))
	},
	"citation": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Citations.Load(ctx, key))
	},
	"analysis": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Runs.Load(ctx, key))
	},
	"metrics": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Metrics.Load(ctx, key))
	},
	"goal": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Goals.Load(ctx, key))
	},
	"checkin": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.CheckIns.Load(ctx, key))
	},
	"action": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Actions.Load(ctx, key))
	},
	"notification": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Notifications.Load(ctx, key))
	},
	"theme": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Themes.Load(ctx, key))
	},
	"note": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Notes.Load(ctx, key))
	},
	"noteversion": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.NoteVersions.Load(ctx, key))
	},
	"request": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Requests.Load(ctx, key))
	},
	"consent": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Consents.Load(ctx, key))
	},
	"tag": func(ctx context.Context, l *loaders.Loaders, key id.UUID) (model.Node, error) {
		return node(l.Tags.Load(ctx, key))
	},
}

// node turns a nil pointer into a nil interface: GraphQL must see null.
func node[T any, N interface {
	*T
	model.Node
}](found N, err error) (model.Node, error) {
	if err != nil || found == nil {
		return nil, err
	}
	return found, nil
}

// Node implements graph.QueryResolver.
func (queryResolver) Node(ctx context.Context, key id.Any) (model.Node, error) {
	load, ok := nodes[key.Prefix]
	if !ok {
		return nil, fault.Invalid("id", "%s_… is the id of nothing here", key.Prefix)
	}
	return load(ctx, loaders.From(ctx), key.UUID)
}

// Nodes implements graph.QueryResolver.
func (r queryResolver) Nodes(ctx context.Context, ids []*id.Any) ([]model.Node, error) {
	if len(ids) > page.MaxSize {
		return nil, fault.Invalid("ids", "must be at most %d, got %d", page.MaxSize, len(ids))
	}
	found := make([]model.Node, len(ids))
	var g errgroup.Group // at once, so that ids of one kind share a statement
	for i, key := range ids {
		g.Go(func() (err error) {
			found[i], err = r.Node(ctx, *key)
			return err
		})
	}
	return found, g.Wait()
}
