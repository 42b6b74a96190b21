// Sphinx cuts a query into words and leaves out plain digits, so that "4.3.5.2" finds nothing. Look the whole query up as one name.
if (typeof Search !== "undefined") {
  const byWords = Search._performSearch;
  Search._performSearch = (query, ...words) => {
    const whole = query.toLowerCase().trim();
    return [...byWords(query, ...words), ...Search.performObjectSearch(whole, new Set([whole]))];
  };
}
