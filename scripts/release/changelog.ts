/** A section of CHANGELOG.md: `## Unreleased`, or `## 1.2.3 - 2026-12-01`. */
interface Section {
  readonly version: string
  readonly date: string | undefined
  readonly notes: string
}

export interface ReleaseNotes {
  /** Markdown without the title: the section of the version, or `Unreleased` before a release. */
  readonly notes: string
  /** Whether the version has a section of its own. */
  readonly isReleased: boolean
}

const title = /^## (?:(Unreleased)|(\d+\.\d+\.\d+(?:-[\w.]+)?) - (\d{4}-\d{2}-\d{2}))$/

/**
 * Holds the version of package.json, the changelog and, when given, the tag against each other.
 *
 * @param changelog the text of CHANGELOG.md
 * @param tag what is released, such as `v1.2.3`: its version must then have a section
 * @returns what the release changes
 * @throws Error that says what does not agree
 */
export function releaseNotes(changelog: string, version: string, tag?: string): ReleaseNotes {
  const sections = sectionsOf(changelog)
  const [first, ...released] = sections
  if (first?.version !== 'Unreleased') {
    throw new Error('CHANGELOG.md: the first section is not `## Unreleased`')
  }
  if (tag !== undefined && tag !== `v${version}`) {
    throw new Error(`the tag ${tag} is not v${version}, the version of package.json`)
  }
  for (const [index, { version: later, date = '' }] of released.entries()) {
    const earlier = released[index + 1]
    if (earlier && (earlier.date ?? '') > date) {
      throw new Error(`CHANGELOG.md: ${later} is older than ${earlier.version}, which is below it`)
    }
  }
  const own = released.find((section) => section.version === version)
  if (own && own !== released[0]) {
    throw new Error(`CHANGELOG.md has ${released[0]?.version ?? ''}, package.json ${version}`)
  }
  if (!own && tag !== undefined) throw new Error(`CHANGELOG.md has no section of ${version}`)
  const { notes } = own ?? first
  if (notes === '') throw new Error(`CHANGELOG.md says nothing under ${(own ?? first).version}`)
  return { notes, isReleased: own !== undefined }
}

function sectionsOf(changelog: string): readonly Section[] {
  return changelog
    .split(/^(?=## )/m)
    .filter((text) => text.startsWith('## '))
    .map((text) => {
      const [line = '', ...lines] = text.split('\n')
      const [, unreleased, version = unreleased, date] = title.exec(line) ?? []
      if (version === undefined) {
        throw new Error(`CHANGELOG.md: \`${line}\` is not like \`## 1.2.3 - 2026-12-01\``)
      }
      return { version, date, notes: lines.join('\n').trim() }
    })
}
