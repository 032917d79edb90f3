package transcript

import "github.com/rapporthq/rapport/internal/coaching/personal"

// Personal is what this domain keeps of a client beside the transcripts, which Remove removes: how the client is called in recordings.
var Personal = []personal.Store{{Table: "remembered_speakers", Of: "x.client_id = $2", Copy: "label, display_name, role"}}
