/** Certificates as operators make them: by `openssl`, in a folder. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'

export interface Authority {
  readonly file: string
  /** @param subject - As `openssl` takes it: `/CN=ana`. @param names - `URI:…`, `DNS:…`, `email:…`. */
  issue(name: string, subject: string, names?: readonly string[], options?: IssueOptions): Pair
}

export interface IssueOptions {
  /** From now; one that is negative has expired. */
  readonly days?: number
  readonly usage?: 'clientAuth' | 'serverAuth'
}

export interface Pair {
  readonly certFile: string
  readonly keyFile: string
  readonly cert: string
  readonly key: string
}

const openssl = (folder: string, ...args: string[]): void =>
  void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

export function authority(folder: string, name: string): Authority {
  openssl(
    folder,
    ...['req', '-x509', ...NEW_KEY, '-keyout', `${name}.key`, '-out', `${name}.crt`],
    ...['-subj', `/CN=${name}`, '-days', '30'],
  )
  return {
    file: path.join(folder, `${name}.crt`),
    issue(leaf, subject, names = [], { days = 30, usage = 'clientAuth' } = {}) {
      const alternative = names.length > 0 ? [`subjectAltName=${names.join(',')}`] : []
      writeFileSync(
        path.join(folder, `${leaf}.ext`),
        [`extendedKeyUsage=${usage}`, 'basicConstraints=CA:FALSE', ...alternative].join('\n'),
      )
      openssl(folder, 'req', ...NEW_KEY, '-keyout', `${leaf}.key`, '-out', `${leaf}.csr`, '-subj', subject)
      openssl(
        folder,
        ...['x509', '-req', '-in', `${leaf}.csr`, '-CA', `${name}.crt`, '-CAkey', `${name}.key`],
        ...['-CAcreateserial', '-out', `${leaf}.crt`, '-days', String(days), '-extfile', `${leaf}.ext`],
      )
      const [certFile, keyFile] = [path.join(folder, `${leaf}.crt`), path.join(folder, `${leaf}.key`)]
      return { certFile, keyFile, cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
    },
  }
}
