import { variables } from '../config.ts'
import type { Config } from '../config.ts'

/** The environment variables of a command, as its help shows them. */
export function variablesHelp(mode: Config['mode']): string {
  const lines = Object.entries(variables.properties)
    .filter(([name]) => mode === 'lab' || !name.startsWith('SLUICE_LAB_'))
    .map(([name, schema]) => {
      const text = 'description' in schema ? String(schema.description) : ''
      const fallback = 'default' in schema ? ` (${String(schema.default)})` : ''
      return `  ${name.padEnd(18)} ${text.replaceAll('`', '')}${fallback}`
    })
  return `Environment variables, with their defaults:\n${lines.join('\n')}\n`
}
