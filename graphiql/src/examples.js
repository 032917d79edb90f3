import ask from '../../docs/operations/ask.graphql'
import askEvents from '../../docs/operations/ask-events.graphql'
import askThreads from '../../docs/operations/ask-threads.graphql'
import clientPage from '../../docs/operations/client.graphql'
import clientBrief from '../../docs/operations/client-brief.graphql'
import dashboard from '../../docs/operations/dashboard.graphql'
import home from '../../docs/operations/home.graphql'
import importTranscript from '../../docs/operations/import-transcript.graphql'
import insightEvents from '../../docs/operations/insight-events.graphql'
import liveSession from '../../docs/operations/live-session.graphql'
import programme from '../../docs/operations/programme.graphql'
import reviewInsight from '../../docs/operations/review-insight.graphql'
import savedSearches from '../../docs/operations/saved-searches.graphql'
import search from '../../docs/operations/search.graphql'
import session from '../../docs/operations/session.graphql'
import settings from '../../docs/operations/settings.graphql'
import exampleIds from './operations/ids.graphql'

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
  const day = offset => new Date(new Date().setHours(24 * offset, 0, 0, 0)) // midnight here
  const date = at => at.toISOString().slice(0, 10)
  return [
    tab(home, {today: day(0), tomorrow: day(1), soon: day(8)}),
    tab(clientPage, {id: first('clients', 'client_…')}),
    tab(clientBrief, {clientId: first('clients', 'client_…')}),
    tab(session, {id: anySession}),
    tab(search, {query: 'delegating speaker:client'}),
    tab(savedSearches),
    tab(ask, {input: {question: 'What did the client decide to do?', scope: {clientId: first('clients', 'client_…')}}}),
    tab(askEvents, {threadId: 'thread_…'}),
    tab(askThreads),
    tab(programme, {from: date(day(-180)), to: date(day(0))}),
    tab(settings),
    tab(dashboard),
    tab(importTranscript, {
      input: {sessionId: first('withoutTranscript', anySession), filename: 'sample.vtt', content: sample},
    }),
    tab(insightEvents),
    tab(liveSession),
    tab(reviewInsight, {input: {insightId: first('insights', 'insight_…'), decision: 'ACCEPT'}}),
  ]
}

/** Returns the tab that a link asks for, ?query=…&variables=… or the same behind a #, or null. */
export function linkedTab(search) {
  const parameters = new URLSearchParams(search)
  const query = parameters.get('query')
  return query && {query, variables: parameters.get('variables')}
}

const tab = (query, variables) => ({query, variables: variables && JSON.stringify(variables, null, 2)})
