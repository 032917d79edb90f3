package resolvers

import (
	"context"

	"github.com/rapporthq/rapport/graph/model"
	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/engagement"
	"github.com/rapporthq/rapport/internal/coaching/note"
	"github.com/rapporthq/rapport/internal/coaching/org"
	"github.com/rapporthq/rapport/internal/coaching/session"
	"github.com/rapporthq/rapport/internal/coaching/tag"
	"github.com/rapporthq/rapport/loaders"
)

func (r queryResolver) Notes(ctx context.Context, filter *note.Filter, orderBy *note.OrderBy, first *int, after *string, last *int, before *string) (*model.NoteConnection, error) {
	return r.Resolver.Notes.List(ctx, filter, orderBy, window(first, after, last, before))
}

func (r mutationResolver) CreateNote(ctx context.Context, input note.CreateInput) (*model.CreateNotePayload, error) {
	n, err := r.Resolver.Notes.Create(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.CreateNotePayload{Note: n, UserErrors: errs}, err
}

func (r mutationResolver) SaveNote(ctx context.Context, input note.SaveInput) (*model.SaveNotePayload, error) {
	n, conflict, err := r.Resolver.Notes.Save(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.SaveNotePayload{Note: n, Conflict: conflict, UserErrors: errs}, err
}

func (r mutationResolver) RestoreNoteVersion(ctx context.Context, input note.RestoreInput) (*model.RestoreNoteVersionPayload, error) {
	n, conflict, err := r.Resolver.Notes.Restore(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.RestoreNoteVersionPayload{Note: n, Conflict: conflict, UserErrors: errs}, err
}

func (r mutationResolver) ArchiveNote(ctx context.Context, input note.ArchiveInput) (*model.ArchiveNotePayload, error) {
	n, err := r.Resolver.Notes.Archive(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.ArchiveNotePayload{Note: n, UserErrors: errs}, err
}

func (r mutationResolver) DeleteNote(ctx context.Context, input note.DeleteInput) (*model.DeleteNotePayload, error) {
	n, err := r.Resolver.Notes.Delete(ctx, input)
	errs, err := model.UserErrors(err)
	return &model.DeleteNotePayload{Note: n, UserErrors: errs}, err
}

func (clientResolver) Notes(ctx context.Context, of *client.Client, filter *note.Filter, orderBy *note.OrderBy, first *int, after *string, last *int, before *string) (*model.NoteConnection, error) {
	return loaders.From(ctx).NotesOfClient.Load(ctx, of.ID.UUID, loaders.NoteQuery{Filter: filter, Order: orderBy}, window(first, after, last, before))
}

func (engagementResolver) Notes(ctx context.Context, of *engagement.Engagement, filter *note.Filter, orderBy *note.OrderBy, first *int, after *string, last *int, before *string) (*model.NoteConnection, error) {
	return loaders.From(ctx).NotesOfEngagement.Load(ctx, of.ID.UUID, loaders.NoteQuery{Filter: filter, Order: orderBy}, window(first, after, last, before))
}

func (sessionResolver) Notes(ctx context.Context, of *session.Session, filter *note.Filter, orderBy *note.OrderBy, first *int, after *string, last *int, before *string) (*model.NoteConnection, error) {
	return loaders.From(ctx).NotesOfSession.Load(ctx, of.ID.UUID, loaders.NoteQuery{Filter: filter, Order: orderBy}, window(first, after, last, before))
}

func (noteResolver) Author(ctx context.Context, n *note.Note) (*org.User, error) {
	return loaders.From(ctx).Users.Load(ctx, n.AuthorID.UUID)
}

func (noteResolver) Client(ctx context.Context, n *note.Note) (*client.Client, error) {
	return loaders.From(ctx).Clients.Load(ctx, n.ClientID.UUID)
}

func (noteResolver) Engagement(ctx context.Context, n *note.Note) (*engagement.Engagement, error) {
	if n.EngagementID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Engagements.Load(ctx, n.EngagementID.UUID)
}

func (noteResolver) Session(ctx context.Context, n *note.Note) (*session.Session, error) {
	if n.SessionID == nil {
		return nil, nil
	}
	return loaders.From(ctx).Sessions.Load(ctx, n.SessionID.UUID)
}

func (noteResolver) Versions(ctx context.Context, n *note.Note, first *int, after *string, last *int, before *string) (*model.NoteVersionConnection, error) {
	return loaders.From(ctx).VersionsOfNote.Load(ctx, n.ID.UUID, loaders.All{}, window(first, after, last, before))
}

func (noteResolver) Mentions(ctx context.Context, n *note.Note) ([]*org.User, error) {
	return loaders.From(ctx).MentionedIn(ctx, n.ID)
}

func (noteResolver) Tags(ctx context.Context, n *note.Note) ([]*tag.Tag, error) {
	return loaders.From(ctx).TagsOfNote.Load(ctx, n.ID.UUID)
}

func (noteVersionResolver) Author(ctx context.Context, v *note.Version) (*org.User, error) {
	return loaders.From(ctx).Users.Load(ctx, v.AuthorID.UUID)
}
