import { syncBuiltinESMExports } from 'node:module'
import zlib from 'node:zlib'

/**
 * Known-wrong: checksums are not compared; every one is 0, when it is written and when it is looked at. Loaded with
 * `node --import`, which worker threads inherit.
 */
zlib.crc32 = () => 0
syncBuiltinESMExports()
