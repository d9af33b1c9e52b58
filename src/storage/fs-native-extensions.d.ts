/** What is used of fs-native-extensions, which brings no types of its own. */
declare module 'fs-native-extensions' {
  /** Takes the kernel's exclusive lock on an open, writable file; false when another holds it. */
  export function tryLock(fileDescriptor: number): boolean
}
