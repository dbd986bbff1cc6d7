/**
 * What a body may be: JSON in UTF-8, not encoded. Anything else is refused (415) before it is read as something that it
 * is not.
 */

/** True for application/json without a charset, or with UTF-8. */
export function isJsonMediaType(contentType: string): boolean {
  if (contentType === 'application/json') return true;
  const [type = '', ...parameters] = contentType.toLowerCase().split(';');
  return type.trim() === 'application/json' && parameters.every(isUtf8OrNoCharset);
}

function isUtf8OrNoCharset(parameter: string): boolean {
  const [name = '', value = ''] = parameter.split('=', 2);
  return name.trim() !== 'charset' || /^"?utf-?8"?$/.test(value.trim());
}

/** True for a Content-Encoding that changes no byte; '' for none. */
export function isIdentityEncoding(contentEncoding: string): boolean {
  return contentEncoding === '' || contentEncoding.toLowerCase() === 'identity';
}
