/** `beta` is the same as `2016-03-23`. */
export type SqlVersion = '2015-10-08' | '2016-03-23' | 'beta'

export const sqlVersions: ReadonlySet<string> = new Set<SqlVersion>([
  '2015-10-08',
  '2016-03-23',
  'beta',
])
