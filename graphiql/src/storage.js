/**
 * What GraphiQL remembers: tabs, variables, history. It goes when the browser tab is closed, because a transcript that
 * was pasted into the variables is in there. Only the theme stays.
 */
export const graphiqlStorage = {
  getItem: key => storeOf(key).getItem(key),
  setItem: (key, value) => storeOf(key).setItem(key, value),
  removeItem: key => storeOf(key).removeItem(key),
  clear() {
    sessionStorage.clear()
    localStorage.removeItem(themeKey)
  },
  get length() {
    return sessionStorage.length
  },
}

const themeKey = 'graphiql:theme'
const storeOf = key => (key === themeKey ? localStorage : sessionStorage)

/** Says whether there are tabs of before: then GraphiQL opens those, and examples are for another time. */
export const hasTabs = () => graphiqlStorage.getItem('graphiql:tabState') !== null
