import dashboard from './operations/examples/dashboard.graphql'
import exampleIds from './operations/examples/ids.graphql'
import importTranscript from './operations/examples/import-transcript.graphql'
import insightEvents from './operations/examples/insight-events.graphql'
import reviewInsight from './operations/examples/review-insight.graphql'
import session from './operations/examples/session.graphql'

const sample = `WEBVTT

00:00:01.000 --> 00:00:05.200
Ruth: What would you like to take away from today?

00:00:06.900 --> 00:00:13.400
Amara: I keep rewriting what my team hands in. I want to stop, and I don't know how to.

00:00:15.000 --> 00:00:18.100
Ruth: What happens in you just before you start to rewrite?

00:00:21.300 --> 00:00:30.000
Amara: I think nobody will do it as I would. By Friday I will give the board paper to Tomasz and not touch it.
`

/** Returns the tabs a new visitor finds, with ids of the person's own in their variables as far as there are any. */
export async function exampleTabs(request) {
  const ids = await request(exampleIds).catch(() => ({})) // the examples are worth showing without a server
  const first = (list, otherwise) => ids[list]?.nodes[0]?.id ?? otherwise
  const anySession = first('withTranscript', 'session_…')
  return [
    tab(dashboard),
    tab(session, {id: anySession}),
    tab(importTranscript, {
      input: {sessionId: first('withoutTranscript', anySession), filename: 'sample.vtt', content: sample},
    }),
    tab(insightEvents),
    tab(reviewInsight, {input: {insightId: first('insights', 'insight_…'), decision: 'ACCEPT'}}),
  ]
}

/** Returns the tab that a link asks for, ?query=…&variables=…, or null. */
export function linkedTab(search) {
  const parameters = new URLSearchParams(search)
  const query = parameters.get('query')
  return query && {query, variables: parameters.get('variables')}
}

const tab = (query, variables) => ({query, variables: variables && JSON.stringify(variables, null, 2)})
