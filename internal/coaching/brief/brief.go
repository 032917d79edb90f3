// Package brief puts together what a coach wants to know before the next session with a client.
package brief

import (
	"time"

	"github.com/rapporthq/rapport/internal/coaching/client"
	"github.com/rapporthq/rapport/internal/coaching/insight"
	"github.com/rapporthq/rapport/internal/coaching/session"
)

// Brief is where things stand with a client. Its parts are rows of other domains, as these give them to the viewer; what takes
// a look of its own is looked up by Service when somebody asks for it.
type Brief struct {
	Client   *client.Client
	around   session.Around
	recalled func() (insight.Recalled, error) // once, whoever asks
}

// NextSession is that which is going on or comes next; nil if none is planned.
func (b *Brief) NextSession() *session.Session { return b.around.Next }

// LastSession is that which was held last; nil if none was.
func (b *Brief) LastSession() *session.Session { return b.around.Last }

// SessionsLeft is how many of the sessions agreed are left; nil if no number was agreed, or there is no session yet.
func (b *Brief) SessionsLeft() *int { return b.around.Left }

// DaysSinceLastContact is how many whole days ago the last session began; nil if there was none.
func (b *Brief) DaysSinceLastContact() *int {
	if b.around.Last == nil {
		return nil
	}
	days := int(max(0, time.Since(b.around.Last.StartsAt)) / (24 * time.Hour))
	return &days
}

// Commitments are what was committed to last, not dismissed.
func (b *Brief) Commitments() ([]*insight.Insight, error) {
	r, err := b.recalled()
	return r.Commitments, err
}

// ToReview are the first of the other insights that nobody has reviewed.
func (b *Brief) ToReview() ([]*insight.Insight, error) {
	r, err := b.recalled()
	return r.ToReview, err
}

// ToReviewCount is how many insights nobody has reviewed, commitments among them.
func (b *Brief) ToReviewCount() (int, error) {
	r, err := b.recalled()
	return r.Unreviewed, err
}
