import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

/**
 * Known-wrong: a registry, or a store of sessions, that is opened reads its WAL as the kernel shows it, which after a failed
 * sync may not be what is on the disk, and appends to it. Loaded with `node --import`, which worker threads inherit.
 */
fs.writeSync = ((_descriptor: number, bytes: Buffer) => bytes.length) as typeof fs.writeSync
fs.fsyncSync = () => undefined
syncBuiltinESMExports()
