/** An object without the members that are undefined. */
type Defined<Members> = {
  [Name in keyof Members as undefined extends Members[Name] ? never : Name]: Members[Name]
} & {
  [Name in keyof Members as undefined extends Members[Name] ? Name : never]?: Exclude<
    Members[Name],
    undefined
  >
}

/**
 * Leaves out the members that are undefined, for documents in which an absent member and an
 * undefined one differ: the parameters of an SDK, answers on the wire, and members that are spread
 * over others.
 */
export function defined<Members extends object>(members: Members): Defined<Members> {
  const present = Object.entries(members).filter(([, value]) => value !== undefined)
  return Object.fromEntries(present) as Defined<Members>
}
