import { base64Of } from '../../api/base64.ts'
import { Payload } from '../../parts/payload.tsx'
import { visibleText } from '../../parts/visible-text.ts'
import { leavesOf } from './leaves.ts'
import type { Leaf } from './leaves.ts'

/** So many parameters of one call are drawn. */
const drawnMax = 200

/** The parameters of a call: short ones in a line, and bodies in the form that is read best. */
export function Parameters({ parameters }: { parameters: unknown }) {
  const leaves = leavesOf(parameters, drawnMax + 1)
  if (leaves.length === 0) return <p class="soft">The call has no parameters.</p>
  return (
    <>
      <dl class="parameters">
        {leaves.slice(0, drawnMax).map((leaf) => (
          <Parameter key={leaf.path} leaf={leaf} />
        ))}
      </dl>
      {leaves.length > drawnMax && (
        <p class="soft">These are the first {drawnMax} parameters; the API lists all.</p>
      )}
    </>
  )
}

function Parameter({ leaf }: { leaf: Leaf }) {
  return (
    <>
      <dt class="topic">{visibleText(leaf.path)}</dt>
      <dd>
        {leaf.kind === 'short' ? (
          <code>{visibleText(leaf.text)}</code>
        ) : (
          <Payload base64={leaf.kind === 'bytes' ? leaf.base64 : base64Of(leaf.text)} />
        )}
      </dd>
    </>
  )
}
