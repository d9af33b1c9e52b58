/** How much of a limit is used. */
export function LoadBar({ share }: { share: number }) {
  const percent = Math.round(share * 1_000) / 10
  return (
    <span class="load-bar">
      <span class="load-track" aria-hidden="true">
        <span
          class={share > 0.8 ? 'load-fill is-high' : 'load-fill'}
          style={{ width: `${percent}%` }}
        />
      </span>
      {percent > 0 && percent < 1 ? '< 1' : Math.round(percent)} %
    </span>
  )
}
