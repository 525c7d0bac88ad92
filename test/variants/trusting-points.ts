import { DatabaseSync } from 'node:sqlite'

/**
 * Known-wrong: a failed sync looks like any other error, so that the point store goes on with the same file, and takes the
 * next sync that succeeds for one of everything before it. Loaded with `node --import`, which worker threads inherit.
 */
const exec = DatabaseSync.prototype.exec
DatabaseSync.prototype.exec = function (sql) {
  try {
    return exec.call(this, sql)
  } catch (error) {
    throw new Error('disk I/O error', { cause: error })
  }
}
