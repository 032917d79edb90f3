import catchUpDocument from '../operations/panel/catch-up.graphql'
import importDocument from '../operations/panel/import.graphql'
import {listen} from './listen.js'

const connectWithinMs = 4000

/**
 * Imports a transcript and listens for its insights, telling `dispatch` what happens (see state.js). It listens before
 * it sends, so that no insight is found while nobody listens. Returns a function that ends both.
 */
export function importAndListen({request, live, dispatch, input}) {
  const {sessionId} = input
  let imported = null
  let stopped = false
  const tell = action => stopped || dispatch(action)

  const subscription = listen({
    live,
    sessionId,
    onEvent: event => tell({type: 'event', event}),
    onState: state => tell({type: 'live', live: state}),
    onGap: () => imported && catchUp({interrupted: true}).catch(() => {}),
  })

  async function run() {
    tell({type: 'begin'})
    // The import is worth doing without a live list: catching up brings at least what there is when it ends.
    await Promise.race([subscription.ready, wait(connectWithinMs)])
    if (stopped) return
    tell({type: 'sending'})
    const {importTranscript: outcome} = await request(importDocument, {input})
    tell({type: 'answered', outcome})
    imported = outcome.transcript
    if (!imported) return stop()
    // The server does not say when a subscription has begun, and an earlier import's insights are no events any more.
    await catchUp({interrupted: false}).catch(() => {})
  }

  async function catchUp({interrupted}) {
    const variables = {sessionId, transcriptId: imported.id, since: imported.createdAt}
    const {session, transcript} = await request(catchUpDocument, variables)
    const insights = session?.insights.nodes ?? []
    tell({type: 'caughtUp', insights, transcript, analysis: transcript?.analysisRuns.nodes[0]?.status ?? null, interrupted})
  }

  function stop() {
    stopped = true
    subscription.stop()
  }

  run().catch(error => {
    tell({type: 'failed', error: error.message})
    stop()
  })
  return stop
}

const wait = ms => new Promise(resolve => setTimeout(resolve, ms))
