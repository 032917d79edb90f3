package seed

// Dashboard is the query that the bench measures and a test counts the statements of: a coach's latest sessions with
// client, coach, the three latest insights with their citations, and tags.
const Dashboard = `query Dashboard($first: Int!) {
  sessions(first: $first) {
    nodes {
      id number status title startsAt durationMinutes
      client { id name }
      coach { id name }
      tags { name color }
      insights(first: 3) {
        nodes {
          id kind title confidence status
          citations { quote startMs endMs }
        }
      }
    }
  }
}`
