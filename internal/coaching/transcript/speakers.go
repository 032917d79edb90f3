package transcript

import (
	"context"
	"slices"

	"github.com/rapporthq/rapport/internal/coaching/conversation"
	"github.com/rapporthq/rapport/internal/platform/auth"
	"github.com/rapporthq/rapport/internal/platform/check"
	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/page"
)

// maxEdited is how many lines or speakers one edit takes.
const maxEdited = 5000

// RenameSpeakerInput is a speaker's new name.
type RenameSpeakerInput struct {
	SpeakerID   SpeakerID
	DisplayName string
	Remember    *bool // for the client's next sessions; nil leaves it as it is, false forgets
}

// SetSpeakerRoleInput is a speaker's role as a person says it.
type SetSpeakerRoleInput struct {
	SpeakerID SpeakerID
	Role      conversation.Role
}

// ConfirmRolesInput are the roles of a transcript's speakers as a person says them.
type ConfirmRolesInput struct {
	TranscriptID ID
	Roles        []SetSpeakerRoleInput
}

// MergeSpeakersInput says that several speakers are one.
type MergeSpeakersInput struct {
	IntoID SpeakerID
	Ids    []SpeakerID
}

// SplitSpeakerInput says that some of a speaker's lines are somebody else's.
type SplitSpeakerInput struct {
	SpeakerID    SpeakerID
	UtteranceIds []UtteranceID
	DisplayName  string
}

// ReassignInput says whose lines these are.
type ReassignInput struct {
	UtteranceIds []UtteranceID
	SpeakerID    SpeakerID
}

// SpeakerEdited is a speaker after an edit. Edit is nil if nothing was to be changed.
type SpeakerEdited struct {
	Speaker *Speaker
	Edit    *Edit
}

// RenameSpeaker changes the name a speaker is shown by, and says whether it is to be remembered.
func (s *Service) RenameSpeaker(ctx context.Context, in RenameSpeakerInput) (out SpeakerEdited, err error) {
	v, speaker, err := s.mySpeaker(ctx, in.SpeakerID)
	if err != nil {
		return out, err
	}
	defer fault.Wrap(&err, "transcript.RenameSpeaker(%s)", in.SpeakerID)
	var problems check.Input
	name := problems.Line("displayName", in.DisplayName, 200)
	if in.Remember != nil && *in.Remember && nameless(speaker.Label) {
		problems.Fail("remember", "cannot hold for %q: in another session that may be somebody else", speaker.Label)
	}
	if err := problems.Err(); err != nil {
		return out, err
	}
	return s.editSpeaker(ctx, v, speaker, EditRename, func(e *editing) error {
		if err := e.present(ctx, "speakerId", in.SpeakerID); err != nil {
			return err
		}
		if in.Remember != nil {
			if err := e.remember(ctx, in.SpeakerID, name, *in.Remember); err != nil {
				return err
			}
		}
		return e.record(ctx, `
			SELECT 'NAME', id, to_jsonb(display_name), to_jsonb($4::text) FROM speakers WHERE org_id = $1 AND id = $3
			UNION ALL SELECT `+relied+` FROM unnest(ARRAY[$3::uuid]) AS speaker`, in.SpeakerID, name)
	})
}

// relied is a change that says that an edit relies on a speaker's being there.
const relied = `'PRESENCE', speaker, 'true'::jsonb, 'true'::jsonb`

// SetSpeakerRole records a person's word on what a speaker is.
func (s *Service) SetSpeakerRole(ctx context.Context, in SetSpeakerRoleInput) (out SpeakerEdited, err error) {
	v, speaker, err := s.mySpeaker(ctx, in.SpeakerID)
	if err != nil {
		return out, err
	}
	defer fault.Wrap(&err, "transcript.SetSpeakerRole(%s)", in.SpeakerID)
	return s.editSpeaker(ctx, v, speaker, EditRoles, func(e *editing) error {
		return e.setRoles(ctx, "speakerId", []SetSpeakerRoleInput{in})
	})
}

// ConfirmRoles records a person's word on several speakers of a transcript. The edit is nil if all was said before.
func (s *Service) ConfirmRoles(ctx context.Context, in ConfirmRolesInput) (_ *Transcript, _ *Edit, err error) {
	v, err := s.mine(ctx, in.TranscriptID)
	if err != nil {
		return nil, nil, err
	}
	defer fault.Wrap(&err, "transcript.ConfirmRoles(%s)", in.TranscriptID)
	keys := make([]SpeakerID, len(in.Roles))
	for i, r := range in.Roles {
		if slices.Contains(keys[:i], r.SpeakerID) {
			return nil, nil, fault.Invalid("roles", "%s has two roles", r.SpeakerID)
		}
		if keys[i] = r.SpeakerID; i == maxEdited {
			return nil, nil, fault.Invalid("roles", "must be at most %d", maxEdited)
		}
	}
	if err := s.ofOne(ctx, "roles", in.TranscriptID, keys); err != nil {
		return nil, nil, err
	}
	edit, err := s.edit(ctx, v, in.TranscriptID, EditRoles, func(e *editing) error { return e.setRoles(ctx, "roles", in.Roles) })
	if err != nil {
		return nil, nil, err
	}
	t, err := s.Get(ctx, in.TranscriptID)
	return t, edit, err
}

func (e *editing) setRoles(ctx context.Context, field string, said []SetSpeakerRoleInput) error {
	keys, roles := make([]SpeakerID, len(said)), make([]string, len(said))
	for i, r := range said {
		keys[i], roles[i] = r.SpeakerID, string(r.Role)
	}
	if err := e.present(ctx, field, keys...); err != nil {
		return err
	}
	if err := e.rememberRoles(ctx, keys, roles); err != nil {
		return err
	}
	return e.record(ctx, `
		SELECT 'ROLE', sp.id, CASE WHEN sp.role_confidence IS NULL THEN jsonb_build_object('role', sp.role, 'by', sp.role_set_by) END,
			jsonb_build_object('role', n.role, 'by', $5::uuid)
		FROM unnest($3::uuid[], $4::text[]) AS n (id, role) JOIN speakers sp ON sp.org_id = $1 AND sp.id = n.id
		UNION ALL SELECT `+relied+` FROM unnest($3::uuid[]) AS speaker`, keys, roles, e.v.User)
}

// MergeSpeakers makes several speakers one: their lines are its lines. Their rows stay, and say whom they became.
func (s *Service) MergeSpeakers(ctx context.Context, in MergeSpeakersInput) (out SpeakerEdited, err error) {
	v, into, err := s.mySpeaker(ctx, in.IntoID)
	if err != nil {
		return out, err
	}
	defer fault.Wrap(&err, "transcript.MergeSpeakers(%s)", in.IntoID)
	if slices.Contains(in.Ids, in.IntoID) {
		return out, fault.Invalid("ids", "a speaker cannot be merged into itself")
	}
	keys, err := distinct("ids", in.Ids)
	if err != nil {
		return out, err
	}
	if err := s.ofOne(ctx, "ids", into.TranscriptID, keys); err != nil {
		return out, err
	}
	return s.editSpeaker(ctx, v, into, EditMerge, func(e *editing) error {
		if err := e.present(ctx, "intoId", in.IntoID); err != nil {
			return err
		}
		if err := e.present(ctx, "ids", keys...); err != nil {
			return err
		}
		return e.record(ctx, `
			SELECT 'PRESENCE', speaker, 'true'::jsonb, to_jsonb($4::uuid) FROM unnest($3::uuid[]) AS speaker
			UNION ALL SELECT `+relied+` FROM unnest(ARRAY[$4::uuid]) AS speaker
			UNION ALL SELECT 'SPEAKER', id, to_jsonb(speaker_id), to_jsonb($4::uuid) FROM utterances WHERE org_id = $1 AND speaker_id = ANY($3)`, keys, in.IntoID)
	})
}

// SplitSpeaker makes a new speaker of some of a speaker's lines, and returns that one. Its role is suggested.
func (s *Service) SplitSpeaker(ctx context.Context, in SplitSpeakerInput) (out SpeakerEdited, err error) {
	v, speaker, err := s.mySpeaker(ctx, in.SpeakerID)
	if err != nil {
		return out, err
	}
	defer fault.Wrap(&err, "transcript.SplitSpeaker(%s)", in.SpeakerID)
	var problems check.Input
	name := problems.Line("displayName", in.DisplayName, 200)
	if err := problems.Err(); err != nil {
		return out, err
	}
	lines, err := s.lines(ctx, speaker.TranscriptID, in.UtteranceIds)
	if err != nil {
		return out, err
	}
	created := &Speaker{ID: SpeakerID{id.New()}, TranscriptID: speaker.TranscriptID}
	return s.editSpeaker(ctx, v, created, EditSplit, func(e *editing) error {
		if err := e.present(ctx, "speakerId", in.SpeakerID); err != nil {
			return err
		}
		var all, split int
		if err := e.tx.QueryRow(ctx, `SELECT count(*), count(*) FILTER (WHERE id = ANY($3)) FROM utterances WHERE org_id = $1 AND speaker_id = $2`,
			v.Org, in.SpeakerID, lines).Scan(&all, &split); err != nil {
			return err
		}
		switch {
		case split < len(lines):
			return fault.Invalid("utteranceIds", "%d of these lines are not the speaker's", len(lines)-split)
		case split == all:
			return fault.Invalid("utteranceIds", "are all of the speaker's lines; nothing would be left: rename the speaker instead")
		}
		if _, err := e.tx.Exec(ctx, `
			INSERT INTO speakers (id, org_id, transcript_id, ordinal, label, display_name, role_confidence)
			SELECT $3, $1, $2, 1 + max(ordinal), $4, $5, 0 FROM speakers WHERE org_id = $1 AND transcript_id = $2`,
			v.Org, e.key, created.ID, speaker.Label, name); err != nil {
			return err
		}
		return e.record(ctx, `
			SELECT 'PRESENCE', $5::uuid, NULL::jsonb, 'true'::jsonb
			UNION ALL SELECT `+relied+` FROM unnest(ARRAY[$4::uuid]) AS speaker
			UNION ALL SELECT 'SPEAKER', id, to_jsonb($4::uuid), to_jsonb($5::uuid) FROM unnest($3::uuid[]) AS id`, lines, in.SpeakerID, created.ID)
	})
}

// Reassign says whose lines these are.
func (s *Service) Reassign(ctx context.Context, in ReassignInput) (out SpeakerEdited, err error) {
	v, speaker, err := s.mySpeaker(ctx, in.SpeakerID)
	if err != nil {
		return out, err
	}
	defer fault.Wrap(&err, "transcript.Reassign(%s)", in.SpeakerID)
	lines, err := s.lines(ctx, speaker.TranscriptID, in.UtteranceIds)
	if err != nil {
		return out, err
	}
	return s.editSpeaker(ctx, v, speaker, EditReassign, func(e *editing) error {
		if err := e.present(ctx, "speakerId", in.SpeakerID); err != nil {
			return err
		}
		return e.record(ctx, `
			WITH moved AS (SELECT id, speaker_id FROM utterances WHERE org_id = $1 AND id = ANY($3) AND speaker_id <> $4)
			SELECT 'SPEAKER', id, to_jsonb(speaker_id), to_jsonb($4::uuid) FROM moved
			UNION ALL SELECT `+relied+` FROM (SELECT speaker_id FROM moved UNION SELECT $4) AS m (speaker)`, lines, in.SpeakerID)
	})
}

// editSpeaker is edit for what changes a speaker.
func (s *Service) editSpeaker(ctx context.Context, v auth.Viewer, speaker *Speaker, kind EditKind, propose func(*editing) error) (out SpeakerEdited, err error) {
	if out.Edit, err = s.edit(ctx, v, speaker.TranscriptID, kind, propose); err != nil {
		return out, err
	}
	out.Speaker, err = s.speaker(ctx, speaker.ID)
	return out, err
}

// distinct checks a list of things to edit, and leaves out what is named twice.
func distinct[K interface {
	comparable
	String() string
}](field string, keys []K) ([]K, error) {
	if len(keys) == 0 {
		return nil, fault.Invalid(field, "must not be empty")
	}
	if len(keys) > maxEdited {
		return nil, fault.Invalid(field, "must be at most %d, got %d", maxEdited, len(keys))
	}
	seen := make(map[K]bool, len(keys))
	return slices.DeleteFunc(slices.Clone(keys), func(k K) bool {
		again := seen[k]
		seen[k] = true
		return again
	}), nil
}

// ofOne checks that speakers exist for the viewer and are the transcript's.
func (s *Service) ofOne(ctx context.Context, field string, key ID, keys []SpeakerID) error {
	if len(keys) == 0 {
		return fault.Invalid(field, "must not be empty")
	}
	raw := make([]id.UUID, len(keys))
	for i, k := range keys {
		raw[i] = k.UUID
	}
	found, err := s.SpeakersByIDs(ctx, raw)
	if err != nil {
		return err
	}
	if len(found) < len(keys) {
		return fault.NotFound("speaker")
	}
	for _, sp := range found {
		if sp.TranscriptID != key {
			return fault.Invalid(field, "%s is a speaker of another transcript", sp.ID)
		}
	}
	return nil
}

// lines checks that utterances exist for the viewer and are the transcript's, and leaves out what is named twice.
func (s *Service) lines(ctx context.Context, key ID, keys []UtteranceID) ([]UtteranceID, error) {
	keys, err := distinct("utteranceIds", keys)
	if err != nil {
		return nil, err
	}
	raw := make([]id.UUID, len(keys))
	for i, k := range keys {
		raw[i] = k.UUID
	}
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	found, err := page.ByIDs(ctx, s.db, v, utterances, scope(v, "u.org_id"), raw)
	if err != nil {
		return nil, err
	}
	if len(found) < len(keys) {
		return nil, fault.NotFound("utterance")
	}
	for _, u := range found {
		if u.TranscriptID != key {
			return nil, fault.Invalid("utteranceIds", "%s is a line of another transcript", u.ID)
		}
	}
	return keys, nil
}

func (s *Service) speaker(ctx context.Context, key SpeakerID) (*Speaker, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	return page.Get(ctx, s.db, v, speakers, scope(v, "sp.org_id"), key.UUID, "speaker")
}

func (s *Service) mySpeaker(ctx context.Context, key SpeakerID) (auth.Viewer, *Speaker, error) {
	v, err := auth.FromContext(ctx)
	if err != nil {
		return v, nil, err
	}
	sp, err := s.speaker(ctx, key)
	if err != nil {
		return v, nil, err
	}
	if !sp.Any(auth.AsCoach) {
		return v, nil, fault.Forbidden("only the coach can change a speaker")
	}
	return v, sp, nil
}
