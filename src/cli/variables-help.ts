import { variables } from '../config/config.ts'
import type { Config } from '../config/config.ts'
import type { Variable } from '../config/variable.ts'

/** The environment variables of a command, as its help shows them. */
export function variablesHelp(mode: Config['mode']): string {
  const lines = Object.entries<Variable>(variables)
    .filter(([name]) => mode === 'lab' || !name.startsWith('SLUICE_LAB_'))
    .map(([name, { description, default: value }]) => {
      const fallback = value === undefined ? '' : ` (${value})`
      return `  ${name.padEnd(18)} ${description.replaceAll('`', '')}${fallback}`
    })
  return `Environment variables, with their defaults:\n${lines.join('\n')}\n`
}
