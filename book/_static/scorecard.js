// Makes the scorecard searchable and sortable. Without scripts it is a plain table.
(function () {
  "use strict";
  // "0.54 ± 0.03" and "0.498 [0.489, 0.506]" are sorted by the number they begin with.
  const first = (text) => parseFloat(text.replace(/<[^>]*>/g, "").replace("−", "-").replace(/,/g, ""));
  DataTable.ext.type.order["leading-number-pre"] = (text) => {
    const value = first(text);
    return Number.isNaN(value) ? -Infinity : value;
  };
  const table = document.querySelector("table.scorecard");
  new DataTable(table, {
    paging: false,
    order: [],
    autoWidth: false,
    columnDefs: [
      { targets: [2, 3], type: "leading-number" },
      { targets: 5, orderable: false },
    ],
    language: {
      search: "Search the scorecard",
      info: "_TOTAL_ items",
      infoEmpty: "no items",
      infoFiltered: "of _MAX_",
      zeroRecords: "No item has these words.",
    },
  });
})();
