#!/usr/bin/env node
import module from 'node:module'
import { fileURLToPath } from 'node:url'

// From Node 22.1 on compiled code is kept for the next start: beside the code that it comes from,
// not in Node's default, a folder of /tmp that others might have made. Where that cannot be written
// nothing is kept, and nothing is said.
module.enableCompileCache?.(fileURLToPath(new URL('../dist/.compile-cache', import.meta.url)))

await import('../dist/main.js')
