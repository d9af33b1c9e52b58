/** The bytes of a text in UTF-8, as base64. A text of 128 KiB is no problem. */
export function base64Of(text: string): string {
  const bytes = new TextEncoder().encode(text)
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
}
