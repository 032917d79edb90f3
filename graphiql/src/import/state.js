// The state of one import: what became of the transcript, and the insights that arrive. Pure, so that it can be tested.

/**
 * - phase: 'idle', 'connecting', 'sending', 'done' or 'failed'
 * - error: why it failed, for people
 * - outcome: what importTranscript answered, null before
 * - live: 'off', 'listening', 'reconnecting' or 'lost'
 * - transcript: what was heard of the transcript since
 * - analysis: the AnalysisStatus last heard of, null before
 * - insights: in the order of arrival
 */
export const initial = {
  phase: 'idle',
  error: null,
  outcome: null,
  live: 'off',
  transcript: null,
  analysis: null,
  insights: [],
}

export function reduce(state, action) {
  switch (action.type) {
    case 'begin':
      return {...initial, phase: 'connecting', live: state.live}
    case 'sending':
      return {...state, phase: 'sending'}
    case 'answered':
      return answered(state, action.outcome)
    case 'failed':
      return {...state, phase: 'failed', error: action.error}
    case 'live':
      return {...state, live: action.live}
    case 'event':
      return applyEvent(state, action.event)
    case 'caughtUp':
      return caughtUp(state, action)
    case 'reset':
      return initial
    default:
      throw new Error(`unknown action ${action.type}`)
  }
}

function answered(state, outcome) {
  // Events of the session's other transcripts may have come before it was known which is ours.
  const transcript = state.transcript?.id === outcome.transcript?.id ? state.transcript : null
  return {...state, phase: outcome.transcript ? 'done' : 'failed', outcome, transcript}
}

function applyEvent(state, event) {
  switch (event.__typename) {
    case 'InsightAdded':
    case 'InsightRevised':
      return {...state, insights: put(state.insights, event.insight)}
    case 'InsightRetracted':
      return {...state, insights: state.insights.filter(({id}) => id !== event.insightId)}
    case 'AnalysisProgressed':
      return {...state, analysis: event.analysisRun.status}
    case 'TranscriptStateChanged': {
      const ours = !state.outcome || state.outcome.transcript?.id === event.transcript.id
      return ours ? {...state, transcript: event.transcript} : state
    }
    default:
      return state // a kind of event that the server has learnt since
  }
}

/** What was fetched is older than what was heard, unless hearing was interrupted for too long. */
function caughtUp(state, {insights, transcript, analysis, interrupted}) {
  if (interrupted) return {...state, insights, transcript, analysis}
  return {
    ...state,
    insights: state.insights.reduce(put, insights),
    transcript: state.transcript ?? transcript,
    analysis: state.analysis ?? analysis,
  }
}

/** Events come at least once, so an id stands in the list once. */
function put(insights, insight) {
  const known = insights.some(({id}) => id === insight.id)
  return known ? insights.map(each => (each.id === insight.id ? insight : each)) : [...insights, insight]
}
