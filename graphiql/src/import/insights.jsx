import {formatTime, words} from './format.js'

/** The insights as they are found. */
export function Insights({state: {insights, live, analysis, transcript}}) {
  const ended = ['SUCCEEDED', 'FAILED'].includes(analysis) || ['READY', 'NEEDS_SPEAKERS', 'FAILED'].includes(transcript?.status)
  return (
    <section className="insights" aria-labelledby="insights-title">
      <h3 id="insights-title">
        Insights {insights.length > 0 && <span className="count">{insights.length}</span>}
        <Live live={live} />
      </h3>
      {insights.length === 0 && (
        <p className={ended ? 'facts' : 'progress'}>
          {ended ? 'Nothing was found in this transcript.' : 'Looking for insights…'}
        </p>
      )}
      <ol aria-live="polite" aria-relevant="additions">
        {insights.map(insight => (
          <Insight key={insight.id} {...insight} />
        ))}
      </ol>
      {insights.length > 0 && !ended && <p className="progress">Looking for more…</p>}
    </section>
  )
}

function Insight({kind, title, citations: [citation]}) {
  return (
    <li className="insight">
      <span className="kind">{words(kind)}</span>
      <p className="title">{title}</p>
      {citation && (
        <blockquote>
          {citation.startMs != null && <time>{formatTime(citation.startMs)}</time>} “{citation.quote}”
        </blockquote>
      )}
    </li>
  )
}

const liveWords = {
  off: null,
  listening: 'live',
  reconnecting: 'reconnecting…',
  lost: 'not live',
}

const Live = ({live}) => liveWords[live] && <span className={`live ${live}`}>{liveWords[live]}</span>
