import { grouped } from '../../parts/figures.ts'
import { visibleText } from '../../parts/visible-text.ts'

/** Says which characters of a text cannot be seen; undefined when all can. */
export function unseenIn(text: string): string | undefined {
  if (visibleText(text) === text) return undefined
  const found = Array.from(text).filter((character) => visibleText(character) !== character)
  const codes = [...new Set(found)].map(
    (character) =>
      `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`,
  )
  const which = `${codes.slice(0, 5).join(', ')}${codes.length > 5 ? ' and others' : ''}`
  const count = found.length === 1 ? 'One character' : `${grouped(found.length)} characters`
  return `${count} cannot be seen: ${which}.`
}
