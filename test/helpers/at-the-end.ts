const closers: (() => unknown)[] = []

/** Runs at the end of the file: its tests may be concurrent. */
export function atTheEnd(close: () => unknown): void {
  closers.push(close)
}

/** For the hook that ends each file. */
export async function endFile(): Promise<void> {
  await Promise.all(closers.splice(0).map((close) => close()))
}
