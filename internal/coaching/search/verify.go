package search

import (
	"context"
	"maps"
	"slices"

	"github.com/rapporthq/rapport/internal/platform/fault"
	"github.com/rapporthq/rapport/internal/platform/id"
	"github.com/rapporthq/rapport/internal/platform/textsearch"
)

// Difference is a thing of which an index does not hold what it should.
type Difference struct {
	Index string // its technology
	Org   id.UUID
	Group string // the thing

	// How many documents are not there, are other ones, and should not be there.
	Missing, Altered, Surplus int
}

// Compare calls differs with all in which the indexes are not what PostgreSQL says, document by document: by ids, and by checksums of what is held. It returns how many things and
// documents should be there. What waits to be indexed is compared as well; what changes while it is looked at is looked at twice.
func (s *Service) Compare(ctx context.Context, differs func(Difference)) (h Holdings, err error) {
	defer fault.Wrap(&err, "search.Compare")
	if err := s.Refresh(ctx); err != nil {
		return h, err
	}
	things := map[id.UUID]map[string]bool{}
	err = s.everything(ctx, func(org id.UUID, of Subject, key id.UUID) error {
		if things[org] == nil {
			things[org] = map[string]bool{}
		}
		things[org][of.group(key)] = true
		docs, err := read(ctx, s.db, org, of, key, 1)
		if err != nil {
			return err
		}
		if len(docs) > 0 {
			h.Groups++
			h.Documents += len(docs)
		}
		return s.compare(ctx, org, of, key, docs, differs)
	})
	if err != nil {
		return h, err
	}
	h.Organizations = len(things)
	return h, s.strangers(ctx, things, differs)
}

// compare looks at one thing in each index.
func (s *Service) compare(ctx context.Context, org id.UUID, of Subject, key id.UUID, docs []textsearch.Document, differs func(Difference)) error {
	for _, x := range s.indexes() {
		d := Difference{Index: x.Capabilities().Name, Org: org, Group: of.group(key)}
		for range 2 {
			held, err := x.Sums(ctx, org, d.Group)
			if err != nil {
				return err
			}
			if d.Missing, d.Altered, d.Surplus = against(docs, held); d.Missing+d.Altered+d.Surplus == 0 {
				break
			}
			if docs, err = read(ctx, s.db, org, of, key, 1); err != nil {
				return err
			}
		}
		if d.Missing+d.Altered+d.Surplus > 0 {
			differs(d)
		}
	}
	return nil
}

// against counts in what the documents that are held are not those that should be.
func against(docs []textsearch.Document, held map[string]uint32) (missing, altered, surplus int) {
	surplus = len(held)
	for _, d := range docs {
		switch sum, there := held[d.ID]; {
		case !there:
			missing++
			continue
		case sum != d.Sum():
			altered++
		}
		surplus--
	}
	return missing, altered, surplus
}

// strangers looks for what the indexes hold of things that are not there.
func (s *Service) strangers(ctx context.Context, things map[id.UUID]map[string]bool, differs func(Difference)) error {
	for _, org := range slices.SortedFunc(maps.Keys(things), func(a, b id.UUID) int { return slices.Compare(a[:], b[:]) }) {
		for _, x := range s.indexes() {
			held, err := groups(ctx, x, org)
			if err != nil {
				return err
			}
			for _, group := range slices.Sorted(maps.Keys(held)) {
				if !things[org][group] {
					differs(Difference{Index: x.Capabilities().Name, Org: org, Group: group, Surplus: held[group]})
				}
			}
		}
	}
	return nil
}
