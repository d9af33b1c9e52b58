/** The payload that is typed into Try it, whose members the editor completes. */
export function exampleMessage(): string {
  const stored = sessionStorage.getItem('sluice-try-it')
  if (stored === null) return ''
  const { payload } = JSON.parse(stored) as { readonly payload?: unknown }
  return typeof payload === 'string' ? payload : ''
}
