package notice

import "github.com/rapporthq/rapport/internal/coaching/personal"

// Personal is what this domain keeps of a client: what others were told about the client, and what the client was told.
var Personal = []personal.Store{
	{Table: "notifications", Of: "x.client_id = $2 OR x.user_id = $3"},
	{Table: "email_deliveries", Of: "x.user_id = $3"},
	{Table: "notification_preferences", Of: "x.user_id = $3"},
	{Table: "notification_settings", Of: "x.user_id = $3"},
}
