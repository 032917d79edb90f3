package goal

import "github.com/rapporthq/rapport/internal/coaching/personal"

const (
	ofGoal   = "x.goal_id IN (SELECT g.id FROM goals g WHERE g.org_id = $1 AND g.client_id = $2)"
	ofAction = "x.action_id IN (SELECT a.id FROM action_items a WHERE a.org_id = $1 AND a.client_id = $2)"
)

// Personal is what this domain keeps of a client.
var Personal = []personal.Store{
	{Table: "action_assignees", Of: ofAction + " OR x.client_id = $2 OR x.user_id = $3"},
	{Table: "action_items", Of: "x.client_id = $2", Copy: "id, session_id, goal_id, title, description, status, due_on, started_at, completed_at, created_at"},
	{Table: "goal_links", Of: ofGoal},
	{Table: "goal_check_ins", Of: ofGoal, Copy: "goal_id, score, note, as_of, created_at"},
	{Table: "goals", Of: "x.client_id = $2", Copy: "id, title, description, status, target_on, closed_at, created_at"},
}
