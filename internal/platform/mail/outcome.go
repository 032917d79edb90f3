package mail

import (
	"time"

	"github.com/rapporthq/rapport/internal/platform/id"
)

// What has become of a mail after it was handed over.
type What string

// The outcomes that something follows from.
const (
	Bounced     What = "BOUNCED"      // nothing arrives at the address
	BouncedOnce What = "BOUNCED_ONCE" // this did not arrive, as when a box is full
	Complained  What = "COMPLAINED"   // the recipient calls it unwanted
	Refused     What = "REFUSED"      // whoever sends would not, after having taken it
)

// Outcome is news of a mail that a Sender was given. It may come twice, in any order, and before Send has returned.
type Outcome struct {
	Org     id.UUID
	Message string // the mail's ID
	Address string // to which it was sent
	What    What
	At      time.Time // when it was told
}
