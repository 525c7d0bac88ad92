/** What `tls` says of a certificate, of ours or of the server's, and of a server that speaks no TLS. */
const UNTRUSTED = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|^ERR_TLS|^ERR_SSL/

/** Whether somebody has to mend a certificate, by the code of an error; the server's own errors have other ones. */
export function isUntrusted(code: unknown): boolean {
  return typeof code === 'string' && UNTRUSTED.test(code)
}
