import { DatabaseSync } from 'node:sqlite'

/**
 * Known-wrong: every database of the process runs with synchronous=OFF. Loaded with `node --import`, which worker
 * threads inherit, so that production code needs no option for it.
 */
const exec = DatabaseSync.prototype.exec
DatabaseSync.prototype.exec = function (sql) {
  return exec.call(this, sql.replace(/synchronous\s*=\s*\w+/gi, 'synchronous = OFF'))
}
