/** `beta` has what `2016-03-23` has. */
export type SqlVersion = '2015-10-08' | '2016-03-23' | 'beta'

export const sqlVersions: ReadonlySet<string> = new Set<SqlVersion>([
  '2015-10-08',
  '2016-03-23',
  'beta',
])
